# The supervisor program inside the daemon's binary.
    .section .rodata
    .globl berth_supervisor_begin, berth_supervisor_end, berth_supervisor_build_id
    .balign 16
berth_supervisor_begin:
    .incbin "supervisor"
berth_supervisor_end:
    .byte 0
berth_supervisor_build_id:
    .incbin "supervisor.id"
    .section .note.GNU-stack, "", %progbits
