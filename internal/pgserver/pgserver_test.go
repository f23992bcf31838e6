package pgserver

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// childVariable makes the test binary a process that starts a server and waits to be killed.
const childVariable = "ODARCHIVE_PGSERVER_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		if _, err := Start(context.Background(), Config{Dir: dir}); err != nil {
			os.Stdout.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Stdout.WriteString("up\n")
		select {}
	}
	os.Exit(m.Run())
}

func start(t *testing.T, c Config) *Server {
	t.Helper()
	s, err := Start(t.Context(), c)
	if errors.Is(err, ErrNoBinaries) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func query(t *testing.T, s *Server, sql string) (answer string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), sql).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// shortDir is a folder whose path leaves room for a socket.
func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestRestartFindsData(t *testing.T) {
	dir := shortDir(t)
	s := start(t, Config{Dir: dir, Fast: true})
	query(t, s, `with x as (select pg_catalog.set_config('a.b', 'c', false)) select 'ok'`)
	conn, err := pgx.Connect(t.Context(), s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "create table kept (x text); insert into kept values ('here')"); err != nil {
		t.Fatal(err)
	}
	conn.Close(t.Context())
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Error("a second stop:", err)
	}
	if got := query(t, start(t, Config{Dir: dir, Fast: true}), "select x from kept"); got != "here" {
		t.Errorf("after a restart: %q", got)
	}
}

func TestDurableByDefault(t *testing.T) {
	s := start(t, Config{Dir: shortDir(t)})
	for setting, want := range map[string]string{"fsync": "on", "full_page_writes": "on", "data_checksums": "on", "listen_addresses": ""} {
		if got := query(t, s, "show "+setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(shortDir(t), strings.Repeat("long", 30))
	s := start(t, Config{Dir: dir, Fast: true})
	if len(s.socket) > maxSocketDir {
		t.Errorf("socket folder %s has %d bytes", s.socket, len(s.socket))
	}
	query(t, s, "select 'ok'")
}

func TestDiedIsNoticed(t *testing.T) {
	s := start(t, Config{Dir: shortDir(t), Fast: true})
	s.cmd.Process.Kill()
	<-s.Died()
}

// A killed server leaves its other processes behind; one that is busy notices nothing, and holds the shared memory.
func TestKilledServer(t *testing.T) {
	dir := shortDir(t)
	s := start(t, Config{Dir: dir, Fast: true})
	conn, err := pgx.Connect(t.Context(), s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		conn.Exec(context.Background(), "do $$ begin loop end loop; end $$")
	}()
	for query(t, s, "select count(*)::text from pg_stat_activity where query like 'do $$%' and state = 'active'") == "0" {
	}
	s.cmd.Process.Kill()
	<-s.Died()
	if len(orphans(s.data())) == 0 {
		t.Fatal("no process was left behind: this test tests nothing")
	}
	query(t, start(t, Config{Dir: dir, Fast: true}), "select 'ok'")
	<-busy
	conn.Close(context.Background())
}

func TestOtherVersionIsRefused(t *testing.T) {
	dir := shortDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := findBinaries(); err != nil {
		t.Skip(err)
	}
	if _, err := Start(t.Context(), Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "made by version 9") {
		t.Errorf("started on a cluster of version 9: %v", err)
	}
}

func TestHalfMadeClusterIsMadeAnew(t *testing.T) {
	dir := shortDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	query(t, start(t, Config{Dir: dir, Fast: true}), "select 'ok'")
}

func TestNoBinaries(t *testing.T) {
	if debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin"); len(debian) > 0 {
		t.Skip("Debian's binaries are found without PATH")
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Start(t.Context(), Config{Dir: t.TempDir()}); !errors.Is(err, ErrNoBinaries) {
		t.Errorf("without binaries: %v", err)
	}
}

// TestKilledParent: a server whose parent was killed is taken over at the next start, and not while the parent lives.
func TestKilledParent(t *testing.T) {
	if _, err := findBinaries(); err != nil {
		t.Skip(err)
	}
	dir := shortDir(t)
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Process.Kill()
	buf := make([]byte, 600)
	if n, err := out.Read(buf); err != nil || string(buf[:n]) != "up\n" {
		t.Fatalf("child says %q, %v", buf[:n], err)
	}
	if _, err := Start(t.Context(), Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second start beside a living parent: %v", err)
	}
	child.Process.Signal(syscall.SIGKILL)
	child.Wait()
	query(t, start(t, Config{Dir: dir}), "select 'ok'")
}
