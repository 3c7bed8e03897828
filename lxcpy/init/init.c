/* lxcpy-init: what LXC leaves undone between clone and the payload's exec.
 *
 *   lxcpy-init [-t] [-w DIR] -- COMMAND [ARG...]
 *
 * -t  gives the payload a terminal of the container's own devpts. LXC 5.0 makes the payload no
 *     controlling terminal in any console mode, so ^C, job control and window changes are lost.
 *     Standard input must be a unix stream socket: the master goes to its other end by SCM_RIGHTS
 *     (as runc's console socket does), one byte back says that the window size is set.
 * -w  changes to DIR: lxc-attach 5.0 has no option for it.
 *
 * Variables named LXCPY_ENV_X are given to COMMAND as X: LXC 5.0 hands the container's environment to
 * its hooks on the host too, where an LD_PRELOAD of an image would be obeyed.
 *
 * It becomes COMMAND by execve; it exits with 127 when that is not found, 126 when it is no program,
 * or when the terminal or the directory cannot be had. It uses no C library, so that a few hundred
 * bytes run in any image. Built by `make init` for x86_64 and aarch64.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441 /* Linux 4.13 */
#endif

#if defined(__x86_64__)
static long call(long n, long a, long b, long c, long d)
{
    long r;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return r;
}
__asm__(".globl _start\n_start:\n mov %rsp,%rdi\n and $-16,%rsp\n call begin\n");
#elif defined(__aarch64__)
static long call(long n, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
__asm__(".globl _start\n_start:\n mov x0,sp\n bl begin\n");
#else
#error "lxcpy-init knows x86_64 and aarch64"
#endif

static unsigned long length(const char *s)
{
    unsigned long n = 0;
    while (s[n])
        n++;
    return n;
}

static int begins(const char *s, const char *with)
{
    while (*with)
        if (*s++ != *with++)
            return 0;
    return 1;
}

static void say(const char *s)
{
    call(SYS_write, 2, (long)s, (long)length(s), 0);
}

static void leave(int code, const char *what, const char *why)
{
    say("lxcpy: ");
    say(what);
    say(": ");
    say(why);
    say("\n");
    call(SYS_exit_group, code, 0, 0, 0);
    __builtin_unreachable();
}

static void send_master(int master)
{
    char byte = 't';
    struct iovec data = { &byte, 1 };
    union { struct cmsghdr head; char space[CMSG_SPACE(sizeof(int))]; } control;
    struct msghdr message;
    for (unsigned long i = 0; i < sizeof control; i++)
        ((volatile char *)&control)[i] = 0; /* volatile: or gcc calls memset */
    for (unsigned long i = 0; i < sizeof message; i++)
        ((volatile char *)&message)[i] = 0;
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof(int));
    *(int *)CMSG_DATA(&control.head) = master;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    if (call(SYS_sendmsg, 0, (long)&message, 0, 0) != 1 || call(SYS_read, 0, (long)&byte, 1, 0) != 1)
        leave(126, "terminal", "nobody takes it");
}

static void take_terminal(void)
{
    int unlock = 0;
    long master = call(SYS_openat, AT_FDCWD, (long)"/dev/ptmx", O_RDWR | O_NOCTTY, 0);
    if (master < 0 || call(SYS_ioctl, master, TIOCSPTLCK, (long)&unlock, 0) < 0)
        leave(126, "terminal", "cannot open /dev/ptmx");
    long slave = call(SYS_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY, 0);
    if (slave < 0)
        leave(126, "terminal", "cannot open its slave");
    send_master((int)master);
    call(SYS_close, master, 0, 0, 0);
    for (int fd = 0; fd < 3; fd++)
        call(SYS_dup3, slave, fd, 0, 0);
    if (slave > 2)
        call(SYS_close, slave, 0, 0, 0);
    call(SYS_ioctl, 0, TIOCSCTTY, 0, 0);
}

/* The execvp(3) search, with the path LXC 5.0 falls back to when PATH is unset. */
static void run(char **argv, char **environment)
{
    char path[4096 + 256]; /* on the stack: without a data segment nothing is writable and executable */
    const char *search = "/bin:/usr/bin";
    const char *name = argv[0];
    long error = -ENOENT;
    for (char **item = environment; *item; item++)
        if (begins(*item, "PATH="))
            search = *item + 5;
    for (const char *c = name; *c; c++)
        if (*c == '/')
            search = 0;
    if (!search)
        error = call(SYS_execve, (long)name, (long)argv, (long)environment, 0);
    while (search && *name) {
        unsigned long n = 0;
        while (*search && *search != ':' && n < 4096)
            path[n++] = *search++;
        if (n)
            path[n++] = '/';
        for (unsigned long i = 0; i <= length(name) && n < sizeof path; i++)
            path[n++] = name[i];
        if (n < sizeof path) {
            long r = call(SYS_execve, (long)path, (long)argv, (long)environment, 0);
            if (r != -ENOENT && r != -ENOTDIR)
                error = r;
        }
        if (!*search)
            break;
        search++;
    }
    if (error == -ENOENT || error == -ENOTDIR)
        leave(127, name, "command not found");
    leave(126, name, error == -EACCES ? "permission denied" : "cannot execute");
}

__attribute__((used)) void begin(long *stack)
{
    char **argv = (char **)(stack + 1);
    char **environment = argv + *stack + 1;
    const char *directory = 0;
    int terminal = 0;
    for (argv++; *argv && (*argv)[0] == '-' && (*argv)[1] != '-'; argv++) {
        if ((*argv)[1] == 't')
            terminal = 1;
        else if ((*argv)[1] == 'w' && argv[1])
            directory = *++argv;
    }
    for (char **item = environment; *item; item++)
        if (begins(*item, "LXCPY_ENV_"))
            *item += length("LXCPY_ENV_");
    if (terminal)
        take_terminal();
    if (!*argv || !*++argv)
        leave(126, "lxcpy-init", "no command");
    if (directory && call(SYS_chdir, (long)directory, 0, 0, 0) < 0)
        leave(126, directory, "cannot change to this working directory");
    run(argv, environment);
}
