// Package pgserver runs a private PostgreSQL from the binaries that the machine has: in a folder of its own, on a unix
// socket of its own, also for root, whom postgres itself refuses. It knows processes and folders, and no SQL of ours.
package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Config says where a server lives and how it is run.
type Config struct {
	// Dir holds the database cluster and the log. It belongs to this server.
	Dir string
	// Fast trades durability for speed and ends the server when its parent dies: for tests only.
	Fast bool
}

// Server is a running PostgreSQL.
type Server struct {
	config Config
	socket string
	cmd    *exec.Cmd
	died   chan struct{}
	err    error // how the process ended; valid once died is closed
	undo   func()
}

const user = "odarchive"

// startTime is how long a start may take: recovery after a crash is part of it.
const startTime = 2 * time.Minute

// Start makes the cluster when there is none, starts the server and returns when it answers. A server that a killed process
// left running in the same folder is stopped first.
func Start(ctx context.Context, c Config) (*Server, error) {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	c.Dir = dir
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	s := &Server{config: c, died: make(chan struct{}), undo: func() {}}
	run, err := identity(dir)
	if err != nil {
		return nil, err
	}
	if s.socket, err = socketDir(dir, run); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, bin, run); err != nil {
		return nil, err
	}
	if err := s.start(ctx, bin, run); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) data() string { return filepath.Join(s.config.Dir, "data") }

// prepare leaves a cluster of the right version that nobody serves.
func (s *Server) prepare(ctx context.Context, bin binaries, run runner) error {
	have, err := os.ReadFile(filepath.Join(s.data(), "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return s.initialise(ctx, bin, run)
	} else if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	if v := strings.TrimSpace(string(have)); v != bin.major {
		return fmt.Errorf("start PostgreSQL: the database in %s was made by version %s, the binaries in %s are of version %s: "+
			"dump it with the old version (pg_dumpall), move the folder away, and restore the dump into the new one", s.data(), v, bin.dir, bin.major)
	}
	return stopLeftover(ctx, s.data())
}

// initialise makes a cluster in a temporary folder and renames it, so that a half-made one is never taken for whole.
func (s *Server) initialise(ctx context.Context, bin binaries, run runner) error {
	half := s.data() + ".new"
	if err := os.RemoveAll(half); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	args := []string{"-D", half, "-U", user, "-E", "UTF8", "--locale=C", "-A", "trust", "--data-checksums", "--no-instructions"}
	if s.config.Fast {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin.dir, "initdb"), args...)
	cmd.Dir = s.config.Dir
	run.apply(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make the database: initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(half, s.data()); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	return nil
}

func (s *Server) start(ctx context.Context, bin binaries, run runner) error {
	logFile, err := os.OpenFile(filepath.Join(s.config.Dir, "log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	defer logFile.Close()
	args := []string{"-D", s.data(), "-k", s.socket, "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700", "-c", "timezone=UTC", "-c", "max_connections=200"}
	if s.config.Fast {
		args = append(args, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "shared_buffers=64MB")
	} else {
		args = append(args, "-c", "shared_buffers=128MB", "-c", "max_wal_size=2GB")
	}
	s.cmd = exec.Command(filepath.Join(bin.dir, "postgres"), args...)
	s.cmd.Dir = s.config.Dir
	s.cmd.Stdout, s.cmd.Stderr = logFile, logFile
	run.apply(s.cmd)
	// A Ctrl-C at the terminal is for us: we stop the server when we are done with it.
	s.cmd.SysProcAttr.Setpgid = true
	if s.config.Fast {
		if s.undo, err = dieWithParent(s.cmd); err != nil {
			return err
		}
	} else if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.died)
	}()
	if err := s.await(ctx); err != nil {
		s.Stop()
		return err
	}
	return nil
}

// await returns when the server answers.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.died:
			return fmt.Errorf("start PostgreSQL: it ended with %v: %s", s.err, lastLines(filepath.Join(s.config.Dir, "log")))
		case <-ctx.Done():
			return fmt.Errorf("start PostgreSQL: %w (%w)", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// lastLines returns the end of a log, for an error text.
func lastLines(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b[max(0, len(b)-600):]))
}

// DSN returns the address of a database on the server, for pgx.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("host=%s user=%s dbname=%s", s.socket, user, database)
}

// Died is closed when the server's process has ended, asked for or not.
func (s *Server) Died() <-chan struct{} { return s.died }

// stopTime is how long a fast shutdown may take before the server is killed; it recovers at the next start.
const stopTime = time.Minute

// Stop asks for a fast shutdown and waits. A server that has ended is no error.
func (s *Server) Stop() error {
	defer s.undo()
	s.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-s.died:
	case <-time.After(stopTime):
		s.cmd.Process.Kill()
		<-s.died
		return fmt.Errorf("stop PostgreSQL: it did not end within %v and was killed", stopTime)
	}
	os.Remove(s.socket)
	return nil
}
