package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// memory is where Linux has a file system in memory. A database is some three hundred files, and making them anew for each test is a third of
// the processor time of such tests on a disk.
const memory = "/dev/shm"

// enough is how many bytes must be free there.
const enough = 2 << 30

const prefix = "odarchive-pgtest-"

// makeFolder makes the server's folder, in memory when there is room.
func makeFolder() (string, error) {
	parent := ""
	var fs unix.Statfs_t
	if os.Getenv("TMPDIR") == "" && unix.Statfs(memory, &fs) == nil && fs.Type == unix.TMPFS_MAGIC && fs.Bavail*uint64(fs.Bsize) >= enough {
		parent = memory
		sweep(memory)
	}
	pattern := fmt.Sprintf("%s%d-", prefix, os.Getpid())
	if folder, err := os.MkdirTemp(parent, pattern); err == nil || parent == "" {
		return folder, err
	}
	return os.MkdirTemp("", pattern)
}

// sweep removes what tests left there that were killed: nobody else would before the machine is switched off.
func sweep(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, prefix+"*"))
	for _, folder := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(folder), prefix), "-")
		if _, err := strconv.Atoi(pid); err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join("/proc", pid)); os.IsNotExist(err) {
			os.RemoveAll(folder)
		}
	}
}
