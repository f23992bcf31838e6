package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/odarchive/odarchive/library"
)

// Attach connects to a database that a controller of this version has migrated, and changes nothing in it.
func Attach(ctx context.Context, dsn string) (*Store, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("read the database's address: %w", err)
	}
	config.ConnConfig.RuntimeParams["application_name"] = "odarchive"
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	s := New(pool)
	var current bool
	if err := pool.QueryRow(ctx, `select to_regclass('rebuild') is not null`).Scan(&current); err != nil {
		s.Close()
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	if !current {
		s.Close()
		return nil, library.Errorf(library.Precondition, "the database has no catalogue of this version: start its controller once")
	}
	return s, nil
}

// Shadow makes an empty database beside s, on the same server.
func (s *Store) Shadow(ctx context.Context) (*Store, error) {
	name := fmt.Sprintf("odarchive_drill_%d", time.Now().UnixNano())
	if _, err := s.pool.Exec(ctx, `create database `+pgx.Identifier{name}.Sanitize()); err != nil {
		return nil, fmt.Errorf("make a database for the drill: %w", err)
	}
	config := s.pool.Config()
	config.ConnConfig.Database = name
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, errors.Join(err, s.drop(context.WithoutCancel(ctx), name))
	}
	if err := Migrate(ctx, pool); err != nil {
		pool.Close()
		return nil, errors.Join(err, s.drop(context.WithoutCancel(ctx), name))
	}
	return New(pool), nil
}

// DropShadow drops a database that Shadow has made and whose Store is closed.
func (s *Store) DropShadow(ctx context.Context, shadow *Store) error {
	return s.drop(ctx, shadow.pool.Config().ConnConfig.Database)
}

func (s *Store) drop(ctx context.Context, name string) error {
	if _, err := s.pool.Exec(ctx, `drop database `+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("drop the drill's database: %w", err)
	}
	return nil
}
