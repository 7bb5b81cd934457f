/* Preloaded into a program it records, or breaks, what that does to the files below one directory.
 *
 *   DISK_ROOT   directory whose files are meant
 *   DISK_TRACE  file to which each operation is appended: a header, the path(s), the data; read by power.py
 *   DISK_FAULT  OPERATIONS:N:ACTION, e.g. "wsrtu:17:kill": what happens at the N-th of these operations
 *               w write, s sync, r rename, t truncate, u unlink, c creation of a file; kill, eio, enospc, emfile,
 *               short (half of a write, then kill), part (half of a write, which is what the caller is told)
 *               "enospc" and "eio" meet that operation only, "stay-enospc" and "stay-eio" all of them from then on
 *   DISK_ORDERS file of 64 bytes, shared with whoever gives orders meanwhile: the number of operations so far (eight
 *               bytes), the number of the order (four), the order itself, as in DISK_FAULT (52); shim.py writes it
 *
 * One lock is held around an operation and its record: their order is the same.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FD 65536

struct header {
    char op;
    char unused[3];
    uint32_t path_length, second_length, data_length;
    uint64_t inode, place;
} __attribute__((packed));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char watched[MAX_FD];
static char root[4096], operations[16];
static size_t root_length;
static int trace = -1, error_given, kills, halves, parts, stays;
static uint64_t count, fault_at;
static struct { uint64_t count; uint32_t number; char text[52]; } volatile *shared;
static uint32_t order;

static void begin(void) __attribute__((constructor));
static void obey(const char *text);

static void begin(void) {
    const char *text = getenv("DISK_ROOT");
    if (!text || !realpath(text, root)) return;
    root_length = strlen(root);
    if ((text = getenv("DISK_TRACE")))
        trace = syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    obey(getenv("DISK_FAULT"));
    if ((text = getenv("DISK_ORDERS"))) {
        int file = syscall(SYS_openat, AT_FDCWD, text, O_RDWR | O_CLOEXEC, 0);
        void *page = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (file < 0 || page == MAP_FAILED) abort();
        shared = page;
        order = shared->number;
        if (shared->text[0]) obey((const char *)shared->text);
        close(file);
    }
}

static void obey(const char *text) {
    char action[32] = "";
    unsigned long at = 0;
    fault_at = stays = kills = halves = parts = error_given = 0;
    strcpy(operations, "wsrtuc");
    if (!text || sscanf(text, "%15[a-z]:%lu:%31[a-z-]", operations, &at, action) != 3) return;
    fault_at = at;
    stays = strncmp(action, "stay-", 5) == 0;
    const char *name = stays ? action + 5 : action;
    kills = !strcmp(name, "kill");
    halves = !strcmp(name, "short");
    parts = !strcmp(name, "part");
    error_given = !strcmp(name, "enospc") ? ENOSPC : !strcmp(name, "eio") ? EIO : !strcmp(name, "emfile") ? EMFILE : 0;
}

static int below_root(const char *path) {
    char full[8192];
    if (!root_length || !path) return 0;
    if (path[0] != '/') {
        if (!getcwd(full, 4096)) return 0;
        strncat(full, "/", 2);
        strncat(full, path, 4000);
        path = full;
    }
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int is_watched(int fd) { return fd >= 0 && fd < MAX_FD && watched[fd]; }

static void name_of(int fd, char *name) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, 4095);
    name[length < 0 ? 0 : length] = 0;
}

static void record(char op, const char *path, const char *second, uint64_t inode, uint64_t place, const void *data,
                   size_t length) {
    if (trace < 0) return;
    struct header header = {op, {0}, strlen(path), strlen(second), length, inode, place};
    struct iovec parts[] = {{&header, sizeof header},
                            {(void *)path, header.path_length},
                            {(void *)second, header.second_length},
                            {(void *)data, length}};
    if (writev(trace, parts, 4) < 0) abort();
}

#define PART -1

/* The errno that the next operation is to fail with; 0: let it be done; PART: let half of it be done. */
static int fault(char kind, int fd, const void *data, size_t length, off_t place) {
    if (shared && order != shared->number) {
        order = shared->number;
        count = 0;
        obey((const char *)shared->text);
    }
    if (!strchr(operations, kind)) return 0;
    count++;
    if (shared) shared->count = count;
    if (!fault_at || (stays ? count < fault_at : count != fault_at)) return 0;
    if (halves) {
        if (kind == 'w') syscall(SYS_pwrite64, fd, data, length / 2, place);
        kill(getpid(), SIGKILL);
    }
    if (kills) kill(getpid(), SIGKILL);
    if (parts) return kind == 'w' && length > 1 ? PART : 0;
    if (error_given == EMFILE && kind != 'c') return 0;
    /* A disk without room still syncs, renames and unlinks. */
    return error_given == ENOSPC && !strchr("wtc", kind) ? 0 : error_given;
}

static int opened(const char *path, int flags, mode_t mode, int at) {
    int mine = below_root(path), is_new = 0, failure = 0, fd = -1;
    if (mine) {
        pthread_mutex_lock(&lock);
        is_new = (flags & O_CREAT) && access(path, F_OK) != 0;
        if (is_new) failure = fault('c', -1, NULL, 0, 0);
    }
    if (!failure) {
        fd = syscall(SYS_openat, at, path, flags, mode);
        failure = fd < 0 ? errno : 0;
    }
    if (mine) {
        if (fd >= 0 && fd < MAX_FD) {
            struct stat found;
            watched[fd] = fstat(fd, &found) == 0;
            if (is_new) record('C', path, "", found.st_ino, 0, NULL, 0);
            else if (flags & O_TRUNC) record('T', path, "", found.st_ino, 0, NULL, 0);
        }
        pthread_mutex_unlock(&lock);
    } else if (fd >= 0 && fd < MAX_FD) {
        watched[fd] = 0;
    }
    if (fd < 0) errno = failure;
    return fd;
}

#define OPEN(name)                                                   \
    int name(const char *path, int flags, ...) {                     \
        va_list rest;                                                \
        va_start(rest, flags);                                       \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                \
        return opened(path, flags, mode, AT_FDCWD);                  \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    if (is_watched(fd)) watched[fd] = 0;
    return syscall(SYS_close, fd);
}

static ssize_t written(int fd, const void *data, size_t length, off_t place, int moves) {
    if (!is_watched(fd)) return moves ? syscall(SYS_write, fd, data, length)
                                      : syscall(SYS_pwrite64, fd, data, length, place);
    pthread_mutex_lock(&lock);
    struct stat before;
    fstat(fd, &before);
    if (moves) place = fcntl(fd, F_GETFL) & O_APPEND ? before.st_size : lseek(fd, 0, SEEK_CUR);
    ssize_t done = -1;
    int failure = fault('w', fd, data, length, place);
    if (failure == PART) length /= 2;
    if (failure <= 0) {
        done = moves ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, place);
        failure = done < 0 ? errno : 0;
        if (done > 0) {
            char name[4096];
            name_of(fd, name);
            record('W', name, "", before.st_ino, place, data, done);
        }
    }
    pthread_mutex_unlock(&lock);
    if (done < 0) errno = failure;
    return done;
}

ssize_t write(int fd, const void *data, size_t length) { return written(fd, data, length, 0, 1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t place) { return written(fd, data, length, place, 0); }
ssize_t pwrite64(int fd, const void *data, size_t length, off_t place) { return written(fd, data, length, place, 0); }

static int on_file(char kind, char op, int fd, long number, off_t size) {
    if (!is_watched(fd)) return syscall(number, fd, size);
    pthread_mutex_lock(&lock);
    int failure = fault(kind, fd, NULL, 0, 0), done = -1;
    if (!failure) {
        done = syscall(number, fd, size);
        failure = done < 0 ? errno : 0;
        struct stat found;
        if (done == 0 && fstat(fd, &found) == 0) {
            char name[4096];
            name_of(fd, name);
            record(op == 'S' && S_ISDIR(found.st_mode) ? 'D' : op, name, "", found.st_ino, size, NULL, 0);
        }
    }
    pthread_mutex_unlock(&lock);
    if (done < 0) errno = failure;
    return done;
}

int fsync(int fd) { return on_file('s', 'S', fd, SYS_fsync, 0); }
int fdatasync(int fd) { return on_file('s', 'S', fd, SYS_fdatasync, 0); }
int ftruncate(int fd, off_t size) { return on_file('t', 'T', fd, SYS_ftruncate, size); }
int ftruncate64(int fd, off_t size) { return on_file('t', 'T', fd, SYS_ftruncate, size); }

static int allocated(int fd, off_t from, off_t length) {
    if (is_watched(fd)) {
        pthread_mutex_lock(&lock);
        int failure = fault('t', fd, NULL, 0, 0);
        pthread_mutex_unlock(&lock);
        if (failure) return failure;
    }
    return syscall(SYS_fallocate, fd, 0, from, length) < 0 ? errno : 0;
}

int posix_fallocate(int fd, off_t from, off_t length) { return allocated(fd, from, length); }
int posix_fallocate64(int fd, off_t from, off_t length) { return allocated(fd, from, length); }

static int on_name(char kind, char op, const char *path, const char *second) {
    int mine = below_root(path), failure = 0, done = -1;
    if (mine) {
        pthread_mutex_lock(&lock);
        failure = fault(kind, -1, NULL, 0, 0);
    }
    if (!failure) {
        done = second ? syscall(SYS_rename, path, second) : syscall(SYS_unlink, path);
        failure = done < 0 ? errno : 0;
        if (mine && done == 0) record(op, path, second ? second : "", 0, 0, NULL, 0);
    }
    if (mine) pthread_mutex_unlock(&lock);
    if (done < 0) errno = failure;
    return done;
}

int rename(const char *path, const char *second) { return on_name('r', 'R', path, second); }
int unlink(const char *path) { return on_name('u', 'U', path, NULL); }
