// The program of the pause image that containerd needs for each pod.
#include <unistd.h>

int main() {
  for (;;) pause();
}
