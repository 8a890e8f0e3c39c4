# The init of shared pid namespaces, a program of its own inside the supervisor's.
    .section .rodata
    .globl berth_pod_init_begin, berth_pod_init_end
    .balign 16
berth_pod_init_begin:
    .incbin "berth-init"
berth_pod_init_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits
