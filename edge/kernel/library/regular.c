#include "library/regular.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int open_regular(const char *path, size_t *length, panda_edge_error *error)
{
    /* Opening a pipe that nobody writes to would wait for ever. On a plain file O_NONBLOCK does nothing. */
    int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    struct stat status;
    if (file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode)) {
        *length = (size_t)status.st_size;
        return file;
    }
    const char *reason = file < 0 ? strerror(errno) : "not a plain file";
    if (file >= 0)
        close(file);
    panda_edge_fail(error, "%s: cannot be read (%s); a bundle is a whole folder that `panda-train fit` made", path,
                    reason);
    return -1;
}
