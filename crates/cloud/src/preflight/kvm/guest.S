/* A guest of one boot sector that does what an ordinary kernel does first: real mode,
 * protected and long mode with paging, interrupts, halting, ring 3 with SSE. It ends QEMU
 * through the device isa-debug-exit at port 0xf4 with 0x2a, so with exit status 85.
 *
 * The loop in ring 3 takes a fraction of a second on a CPU or under TCG; where a hypervisor
 * interprets each instruction it outlives any patience.
 *
 *   as --64 -o guest.o guest.S
 *   ld -Ttext=0x7c00 --oformat=binary -o guest.bin guest.o
 */
        .set    ROUNDS, 100000000
        .set    PML4, 0x1000            /* page tables: 0x1000, 0x2000, 0x3000 */
        .set    IDT, 0x4000
        .set    TSS, 0x5000
        .set    TICKS, 0x6000
        .set    STACK, 0x7c00

        .code16
        .globl  _start
_start: cli
        cld
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $STACK, %sp
        ljmp    $0, $1f
1:      movw    $PML4, %di              /* clear page tables, IDT, TSS, ticks */
        movw    $(0x6100 - PML4) / 2, %cx
        rep stosw
        movw    $PML4 + 0x1007, PML4    /* present, writable, user */
        movw    $PML4 + 0x2007, PML4 + 0x1000
        movw    $0x87, PML4 + 0x2000    /* one page of 2 MiB, mapped to itself */

        movb    $0x11, %al              /* interrupt controller: IRQ 0 is vector 0x20, alone */
        outb    %al, $0x20
        movb    $0x20, %al
        outb    %al, $0x21
        movb    $4, %al
        outb    %al, $0x21
        movb    $1, %al
        outb    %al, $0x21
        movb    $0xfe, %al
        outb    %al, $0x21
        movb    $0xff, %al
        outb    %al, $0xa1

        lgdt    gdtr
        movl    $0x620, %eax            /* PAE, OSFXSR, OSXMMEXCPT */
        movl    %eax, %cr4
        movl    $PML4, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx       /* EFER.LME */
        rdmsr
        btsl    $8, %eax
        wrmsr
        movl    $0x80000003, %eax       /* PG, MP, PE; EM clear */
        movl    %eax, %cr0
        ljmp    $0x08, $long

        .code64
long:   movw    $0x10, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    $STACK, %esp
        movl    $IDT + 0x20 * 16, %edi  /* gates: 0x20 timer; 0x80 done, from ring 3 */
        movl    $timer, %eax
        movb    $0x8e, %dl
        call    gate
        movl    $IDT + 0x80 * 16, %edi
        movl    $done, %eax
        movb    $0xee, %dl
        call    gate
        lidt    idtr
        movl    $STACK - 0x100, TSS + 4 /* RSP0 */
        movl    $0x28, %eax
        ltr     %ax

        pushq   $0x1b                   /* SS, RSP, RFLAGS (interrupts on), CS, RIP */
        pushq   $STACK - 0x400
        pushq   $0x202
        pushq   $0x23
        pushq   $user
        iretq

gate:   movw    %ax, (%rdi)
        movw    $8, 2(%rdi)
        movb    %dl, 5(%rdi)
        ret

timer:  pushq   %rax
        incl    TICKS
        movb    $0x20, %al
        outb    %al, $0x20
        popq    %rax
        iretq

user:   movl    $1, %eax
        movq    %rax, %xmm1
        pxor    %xmm0, %xmm0
        movl    $ROUNDS, %ecx
2:      paddq   %xmm1, %xmm0
        decl    %ecx
        jnz     2b
        int     $0x80

done:   movq    %xmm0, %rax
        cmpq    $ROUNDS, %rax
        jne     4f
3:      sti                             /* two ticks must come, the halted CPU must wake */
        hlt
        cli
        cmpl    $2, TICKS
        jb      3b
        movb    $0x2a, %al
        outb    %al, $0xf4
4:      cli
        hlt
        jmp     4b

        .balign 8
gdt:    .quad   0
        .quad   0x00209a0000000000      /* 0x08 code of ring 0, 64 bits */
        .quad   0x0000920000000000      /* 0x10 data of ring 0 */
        .quad   0x0000f20000000000      /* 0x18 data of ring 3 */
        .quad   0x0020fa0000000000      /* 0x20 code of ring 3, 64 bits */
        .quad   0x0000890000000067 + (TSS << 16)
        .quad   0
gdtr:   .word   gdtr - gdt - 1
        .long   gdt
idtr:   .word   0x81 * 16 - 1
        .quad   IDT

        .org    510
        .word   0xaa55
