#include "library/regular.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#if defined(_WIN32)

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <io.h>

#ifndef S_ISREG
#define S_ISREG(mode) (((mode) & _S_IFMT) == _S_IFREG)
#endif

typedef struct _stat64 file_status;
enum { WIDE = 4096 };

/* No pipe lies in a folder there; the names of devices, such as CON, are not plain files by their status. */
static int open_to_read(const char *path)
{
    wchar_t wide[WIDE];
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, WIDE) == 0) {
        errno = ENOENT;
        return -1;
    }
    return _wopen(wide, _O_RDONLY | _O_BINARY | _O_NOINHERIT);
}

static int status_of(int file, file_status *status) { return _fstat64(file, status); }

static long read_some(int file, char *bytes, size_t most)
{
    return _read(file, bytes, most < 1u << 30 ? (unsigned)most : 1u << 30);
}

void close_regular(int file) { _close(file); }

void *map_regular(int file, size_t length)
{
    HANDLE mapping = CreateFileMappingW((HANDLE)_get_osfhandle(file), NULL, PAGE_READONLY, 0, 0, NULL);
    void *map = mapping != NULL ? MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, length) : NULL;
    if (mapping != NULL)
        CloseHandle(mapping); /* the view keeps what it needs */
    if (map == NULL)
        errno = ENOMEM;
    return map;
}

void unmap_regular(void *map, size_t length)
{
    (void)length;
    UnmapViewOfFile(map);
}

#else

#include <sys/mman.h>
#include <unistd.h>

typedef struct stat file_status;

/* Opening a pipe that nobody writes to would wait for ever. On a plain file O_NONBLOCK does nothing. */
static int open_to_read(const char *path) { return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY); }

static int status_of(int file, file_status *status) { return fstat(file, status); }

static ssize_t read_some(int file, char *bytes, size_t most) { return read(file, bytes, most); }

void close_regular(int file) { close(file); }

void *map_regular(int file, size_t length)
{
    void *map = mmap(NULL, length, PROT_READ, MAP_PRIVATE, file, 0);
    return map != MAP_FAILED ? map : NULL;
}

void unmap_regular(void *map, size_t length) { munmap(map, length); }

#endif

int open_regular(const char *path, size_t *length, panda_edge_error *error)
{
    int file = open_to_read(path);
    file_status status;
    if (file >= 0 && status_of(file, &status) == 0 && S_ISREG(status.st_mode)) {
        *length = (size_t)status.st_size;
        return file;
    }
    const char *reason = file < 0 ? strerror(errno) : "not a plain file";
    if (file >= 0)
        close_regular(file);
    panda_edge_fail(error, "%s: cannot be read (%s); a bundle is a whole folder that `panda-train fit` made", path,
                    reason);
    return -1;
}

bool read_regular(int file, char *bytes, size_t most, size_t *got)
{
    *got = 0;
    while (*got < most) {
        const long long some = read_some(file, bytes + *got, most - *got);
        if (some < 0)
            return false;
        if (some == 0)
            break;
        *got += (size_t)some;
    }
    return true;
}
