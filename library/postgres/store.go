// Package postgres is the catalogue: vaults, archives, images, discs, elements, jobs and tasks in PostgreSQL. It is the only
// package that holds SQL. It changes rows in transactions and never touches a file, a device or a network peer of ours.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/migrations"
)

// Store is the catalogue. Its methods may be called by several goroutines and by several processes on one database.
type Store struct {
	pool   *pgxpool.Pool
	self   string // what marks the libraries that this Store plans
	opened time.Time
	mu     sync.Mutex
	desks  map[string]*desk // by library
	rounds rounds
	named  map[string]string // libraries' ids by name; neither ever changes
}

// Open connects to the database that dsn names (a libpq connection string or URL) and brings its schema up to date.
// Several processes may do so at once: one migrates, the others wait.
func Open(ctx context.Context, dsn string) (*Store, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("read the database's address: %w", err)
	}
	config.ConnConfig.RuntimeParams["application_name"] = "odarchive"
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	config.ConnConfig.RuntimeParams["jit"] = "off" // nothing here runs long enough to be worth compiling
	config.MaxConns = max(config.MaxConns, 16)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	if err := Migrate(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return New(pool), nil
}

// New returns a Store over a pool whose database has been migrated.
func New(pool *pgxpool.Pool) *Store {
	return &Store{pool: pool, self: uuid.NewString(), opened: time.Now()}
}

// Migrate brings the schema of pool's database up to date, under a lock. A schema that a later odarchive made is refused and left alone:
// an older program would break what it does not know of.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // tries each second for five minutes
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil { // nothing to do where the schema is a later one
		return fmt.Errorf("migrate the database: %w", err)
	}
	found, known, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	if found > known {
		return fmt.Errorf("the catalogue is of a later odarchive: its schema is %d, this program knows those to %d; start the later controller, "+
			"or load the dump that was made before it", found, known)
	}
	return nil
}

// Close waits for what runs and disconnects.
func (s *Store) Close() { s.pool.Close() }

// inTx runs f in a transaction, again when Postgres asks for that, and commits when f returns nil.
func (s *Store) inTx(ctx context.Context, f func(tx pgx.Tx) error) error {
	for attempt := 0; ; attempt++ {
		err := pgx.BeginFunc(ctx, s.pool, f)
		if again(err) && attempt < 5 {
			continue
		}
		return err
	}
}

// again says whether err is a serialisation failure or deadlock, after which the transaction is to be repeated
// (PostgreSQL manual, appendix A, class 40).
func again(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01")
}

// violates says whether err is the violation of the constraint called name.
func violates(err error, name string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.ConstraintName == name
}

// notFound turns an empty result into an error with the fault NotFound.
func notFound(err error, format string, args ...any) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return library.Errorf(library.NotFound, format, args...)
	}
	return err
}

// lockLibrary serialises everything that changes the state of one library until the transaction ends.
func lockLibrary(ctx context.Context, tx pgx.Tx, id string) error {
	_, err := tx.Exec(ctx, `select from library where id = $1 for update`, id)
	return err
}

// topic is the channel on which changes are announced.
const topic = "odarchive"

// announce tells all listening controllers, when tx commits, that what concerns key has changed.
func announce(ctx context.Context, tx pgx.Tx, key string) error {
	_, err := tx.Exec(ctx, `select pg_notify($1, $2)`, topic, key)
	return err
}

// Keys of announcements; those of a library and a job end in its id.
const (
	PlanKey    = "plan"
	LibraryKey = "library:"
	JobKey     = "job:"
)

// Listen calls changed with the key of every announcement until ctx ends, and with "" when announcements may have been
// missed: at the start and after the connection was lost. It returns ctx's error.
func (s *Store) Listen(ctx context.Context, changed func(key string)) error {
	for {
		err := s.listenOnce(ctx, changed)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !retriable(err) {
			return fmt.Errorf("listen for changes: %w", err)
		}
	}
}

func (s *Store) listenOnce(ctx context.Context, changed func(key string)) error {
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooled.Hijack() // it must never go back to the pool: it would go on listening
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "listen "+topic); err != nil {
		return err
	}
	changed("")
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		changed(n.Payload)
	}
}

// retriable says whether a lost connection may come back: everything but an answer of the server that says no.
func retriable(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || e.Code[:2] == "57" // admin shutdown, crash shutdown, cannot connect now
}
