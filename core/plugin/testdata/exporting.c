/* A shared object that exports something, but no module. */
int nothing_of_ours = 1;
