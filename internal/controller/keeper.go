package controller

import (
	"context"
	"log/slog"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/internal/staging"
	"github.com/odarchive/odarchive/library/postgres"
)

const (
	// keepInterval is how often the house is kept when nothing asks for it.
	keepInterval = time.Minute
	// unsealedTime is how long contents wait for the archive that they were uploaded for, and half-arrived ones for their rest.
	unsealedTime = 24 * time.Hour
)

// keeper deletes the files that nothing refers to any more.
type keeper struct {
	store   *postgres.Store
	staging *staging.Store
	log     *slog.Logger
}

func (k *keeper) run(ctx context.Context, changes *hub) error {
	tick := time.NewTicker(keepInterval)
	defer tick.Stop()
	for {
		changed := changes.wait(postgres.PlanKey)
		if err := k.keep(ctx); err != nil && ctx.Err() == nil {
			k.log.Error("keeping house failed; it is tried again", "error", err)
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (k *keeper) keep(ctx context.Context) error {
	free, err := k.store.Collect(ctx, unsealedTime)
	if err != nil {
		return err
	}
	for _, id := range free.Segments {
		if err := k.staging.Delete(id); err != nil {
			return err
		}
	}
	for _, p := range free.Parts {
		if err := k.staging.Drop(partName(p.Vault, archive.Hash(p.Hash))); err != nil {
			return err
		}
	}
	return k.staging.Expire(uploading, time.Now().Add(-unsealedTime))
}
