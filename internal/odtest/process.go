package odtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// process is one role: the run that is alive, and what all its runs have logged.
type process struct {
	command *exec.Cmd
	ended   chan struct{}

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced with every line
}

// Start starts a role that does not run, and returns when it can be talked to.
func (s *Site) Start(role Role) {
	s.Helper()
	p := s.processes[role]
	if p == nil {
		p = &process{more: make(chan struct{})}
		s.processes[role] = p
	}
	config, err := json.Marshal(s.config(role))
	if err != nil {
		s.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		s.Fatal(err)
	}
	c := exec.Command(program)
	c.Env = append(os.Environ(), roleVariable+"="+string(role), configVariable+"="+string(config))
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := c.StderrPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := c.Start(); err != nil {
		s.Fatal(err)
	}
	p.command, p.ended = c, make(chan struct{})
	go func() {
		p.collect(out)
		_ = c.Wait()
		close(p.ended)
	}()
	switch role {
	case Jukebox:
		s.Eventually("the jukebox serves", func() bool { return s.alive(role) && s.reachable("jukebox", "control.sock") })
	case Controller:
		s.Eventually("the controller serves", func() bool { return s.alive(role) && s.reachable("controller", "controller.sock") })
	}
}

// alive fails the test when a role has ended by itself.
func (s *Site) alive(role Role) bool {
	select {
	case <-s.processes[role].ended:
		s.Fatalf("the %s has ended: %s", role, strings.Join(s.processes[role].tail(5), "\n"))
	default:
	}
	return true
}

func (p *process) collect(r io.Reader) {
	for scan := bufio.NewScanner(r); scan.Scan(); {
		p.mu.Lock()
		p.lines = append(p.lines, scan.Text())
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *process) tail(n int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines[max(0, len(p.lines)-n):]...)
}

// Kill ends a role with SIGKILL and waits until it is gone. A killed Postgres takes its controller with it.
func (s *Site) Kill(role Role) {
	s.Helper()
	if role == Postgres {
		if err := syscall.Kill(s.postmaster(), syscall.SIGKILL); err != nil {
			s.Fatalf("kill PostgreSQL: %v", err)
		}
		s.gone(Controller)
		return
	}
	if err := s.processes[role].command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.Fatalf("kill %s: %v", role, err)
	}
	s.gone(role)
}

// Stop ends a role in order.
func (s *Site) Stop(role Role) {
	s.Helper()
	p := s.processes[role]
	if p == nil {
		return
	}
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.Errorf("stop %s: %v", role, err)
	}
	s.gone(role)
}

func (s *Site) gone(role Role) {
	s.Helper()
	select {
	case <-s.processes[role].ended:
	case <-time.After(patience):
		s.processes[role].command.Process.Kill()
		s.Errorf("the %s has not ended within %v:\n%s", role, patience, strings.Join(s.processes[role].tail(10), "\n"))
	}
}

func (s *Site) postmaster() int {
	s.Helper()
	b, err := os.ReadFile(s.path("controller", "postgres", "data", "postmaster.pid"))
	if err != nil {
		s.Fatal(err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		s.Fatal(err)
	}
	return pid
}

// Mark is a place in a role's log: its end now.
func (s *Site) Mark(role Role) int {
	p := s.processes[role]
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lines)
}

// Await waits for a line of a role's log behind mark that matches.
func (s *Site) Await(role Role, mark int, pattern string) string {
	s.Helper()
	p, want, late := s.processes[role], regexp.MustCompile(pattern), time.After(patience)
	for {
		p.mu.Lock()
		lines, more := p.lines[min(mark, len(p.lines)):], p.more
		p.mu.Unlock()
		for _, line := range lines {
			if want.MatchString(line) {
				return line
			}
		}
		mark += len(lines)
		select {
		case <-more:
		case <-late:
			s.Fatalf("the %s has not logged %q within %v:\n%s", role, pattern, patience, strings.Join(p.tail(10), "\n"))
		}
	}
}

// Lines are the lines of a role's log that match.
func (s *Site) Lines(role Role, pattern string) (found []string) {
	want := regexp.MustCompile(pattern)
	for _, line := range s.processes[role].tail(1 << 30) {
		if want.MatchString(line) {
			found = append(found, line)
		}
	}
	return found
}

// Eventually waits until what is so.
func (s *Site) Eventually(what string, so func() bool) {
	s.Helper()
	for late := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) { // polling: nobody tells us
		if time.Now().After(late) {
			for role, p := range s.processes {
				s.Logf("%s:\n%s", role, strings.Join(p.tail(15), "\n"))
			}
			s.Fatalf("not so within %v: %s", patience, what)
		}
	}
}
