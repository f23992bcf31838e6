// Package pgtest gives tests databases of their own on a private PostgreSQL that the test binary starts once and that
// ends with it. It knows what a migrated template is, and nothing of what is in it.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/internal/pgserver"
)

// DSNVariable names an environment variable with the address of a server on which tests may make databases, instead of one of their own.
const DSNVariable = "ODARCHIVE_TEST_DSN"

var (
	once    sync.Once
	server  *pgserver.Server
	dir     string
	failure error
	number  atomic.Int64
	ready   sync.Map // template name → *template
)

type template struct {
	once sync.Once
	err  error
}

// Main runs a package's tests and stops the server that they started. A package that uses New calls it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if server != nil {
		if err := server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// New returns the address of a new database that migrate has prepared. Databases of the same template name share that work.
// Without PostgreSQL on the machine the test is skipped, except where CI is set: there it fails.
func New(t testing.TB, name string, migrate func(ctx context.Context, dsn string) error) string {
	t.Helper()
	once.Do(func() { failure = start() })
	if errors.Is(failure, pgserver.ErrNoBinaries) && os.Getenv("CI") == "" {
		t.Skip(failure)
	}
	if failure != nil {
		t.Fatal(failure)
	}
	ctx := context.Background()
	made, _ := ready.LoadOrStore(name, &template{})
	tpl := made.(*template)
	tpl.once.Do(func() {
		if tpl.err = exec(ctx, fmt.Sprintf("create database %q", name)); tpl.err == nil {
			tpl.err = migrate(ctx, dsn(name))
		}
	})
	if tpl.err != nil {
		t.Fatalf("prepare database %s: %v", name, tpl.err)
	}
	db := fmt.Sprintf("%s_%d_%d", name, os.Getpid(), number.Add(1))
	if err := exec(ctx, fmt.Sprintf("create database %q template %q", db, name)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := exec(ctx, fmt.Sprintf("drop database %q with (force)", db)); err != nil {
			t.Error(err)
		}
	})
	return dsn(db)
}

func start() (err error) {
	if os.Getenv(DSNVariable) != "" {
		return nil
	}
	if dir, err = makeFolder(); err != nil {
		return err
	}
	server, err = pgserver.Start(context.Background(), pgserver.Config{Dir: dir, Fast: true})
	return err
}

func dsn(database string) string {
	if d := os.Getenv(DSNVariable); d != "" {
		return d + " dbname=" + database
	}
	return server.DSN(database)
}

func exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, dsn("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}
