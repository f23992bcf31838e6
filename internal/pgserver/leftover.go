package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopLeftover stops a server that serves data although its parent was killed. Its process id is in postmaster.pid
// (PostgreSQL manual, "Database File Layout"); that the process is really ours is read from its command line.
func stopLeftover(ctx context.Context, data string) error {
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return endOrphans(ctx, data)
	} else if err != nil {
		return fmt.Errorf("look for a running PostgreSQL: %w", err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 {
		return endOrphans(ctx, data) // torn by a crash: postgres itself deals with the file
	}
	if !serves(pid, data) {
		if err := endOrphans(ctx, data); err != nil {
			return err
		}
		// Another process has the number now, and postgres, in its namespace, might take that for a server.
		if err := os.Remove(filepath.Join(data, "postmaster.pid")); err != nil {
			return fmt.Errorf("remove a stale postmaster.pid: %w", err)
		}
		return nil
	}
	if parent := parentOf(pid); parent > 1 && alive(parent) && ours(parent) {
		return fmt.Errorf("start PostgreSQL: process %d serves %s already, for process %d: stop that first", pid, data, parent)
	}
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop the PostgreSQL that was left running as process %d: %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for serves(pid, data) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("stop the PostgreSQL that was left running as process %d: %w", pid, ctx.Err())
		}
	}
	return endOrphans(ctx, data)
}

// endOrphans ends the processes of a server whose postmaster was killed. They end by themselves once they notice, but until the last
// of them has let go of the shared memory no new server starts on the same data.
func endOrphans(ctx context.Context, data string) error {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		left := orphans(data)
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("end process %d, which a killed PostgreSQL left behind: %w", pid, err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("end processes %v, which a killed PostgreSQL left behind: %w", left, ctx.Err())
		}
	}
}

// orphans returns the processes of PostgreSQL that work in data; it is called when no postmaster is left. A server's processes keep
// its data folder as their working directory.
func orphans(data string) (pids []int) {
	if real, err := filepath.EvalSymlinks(data); err == nil {
		data = real
	}
	folders, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil
	}
	for _, cwd := range folders {
		if target, err := os.Readlink(cwd); err != nil || target != data {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(cwd)))
		if err != nil {
			continue
		}
		// A server's process shows its title instead of a command line: "postgres: checkpointer". One that is ending has none, and may not have let go
		// of the shared memory: it loses its working directory after that.
		title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && (len(title) == 0 || strings.HasPrefix(string(title), "postgres: ")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// serves says whether process pid is a postgres on data.
func serves(pid int, data string) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	args := strings.Split(string(b), "\x00")
	return len(args) > 2 && filepath.Base(args[0]) == "postgres" && args[1] == "-D" && args[2] == data
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// ours says whether process pid could have started a server: init and other reapers of orphans run another program.
func ours(pid int) bool {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	self, selfErr := os.Executable()
	return err == nil && selfErr == nil && strings.TrimSuffix(exe, " (deleted)") == self
}

func parentOf(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// pid (comm) state ppid …, where comm may hold anything (proc(5)).
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// dieWithParent starts cmd so that it ends when our process does. The kernel's signal follows the thread that started the
// child, so that thread is held until undo.
func dieWithParent(cmd *exec.Cmd) (undo func(), err error) {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	started, release := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		started <- cmd.Start()
		<-release
	}()
	if err := <-started; err != nil {
		close(release)
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	var done bool
	return func() {
		if !done {
			done = true
			close(release)
		}
	}, nil
}
