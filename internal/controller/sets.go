package controller

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/pack"
	"github.com/odarchive/odarchive/library/postgres"
)

// imageRoom returns how many sectors an image of a vault may have on a disc of that capacity, without its error correction: where the vault's discs share
// parity, the parity must fit such a disc too.
func imageRoom(v postgres.Vault, capacity int64) (int64, error) {
	room := pack.Room(capacity, v.Roots)
	if v.SetData == 0 {
		return room, nil
	}
	largest, err := discset.LargestImage(room, discset.Geometry{Data: v.SetData, Parity: v.SetParity})
	return min(room, largest), err
}

// placer gives images that are planned one after the other their places in sets.
type placer struct {
	v    postgres.Vault
	next postgres.SetPlace
}

func (p *placer) take() *catalogue.Parity {
	if p.v.SetData == 0 {
		return nil
	}
	if p.next.Set == "" || p.next.Index >= p.next.Data {
		p.next = postgres.SetPlace{Set: uuid.NewString(), Data: p.v.SetData, Parity: p.v.SetParity}
	}
	taken := &catalogue.Parity{Set: p.next.Set, Index: p.next.Index, Data: p.next.Data, Images: p.next.Parity}
	p.next.Index++
	return taken
}

// tender looks after sets: what is due, and what was left when something failed. It plans the parity images of sets
// whose parity is final.
type tender struct {
	store *postgres.Store
	log   *slog.Logger
}

// tendInterval is how often that is done when nothing changes: what has just failed is tried again then.
const tendInterval = time.Minute

func (t *tender) run(ctx context.Context, changes *hub) error {
	tick := time.NewTicker(tendInterval)
	defer tick.Stop()
	for {
		changed := changes.wait(postgres.PlanKey)
		if err := t.parity(ctx); err != nil && ctx.Err() == nil {
			t.log.Error("planning parity discs failed; it is tried again", "error", err)
		}
		select {
		case <-changed:
		case <-tick.C:
			if err := t.store.Tend(ctx); err != nil && ctx.Err() == nil {
				t.log.Error("looking after disc sets failed; it is tried again", "error", err)
			}
			if err := t.silenced(ctx); err != nil && ctx.Err() == nil {
				t.log.Error("looking for silent libraries failed; it is tried again", "error", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (t *tender) parity(ctx context.Context) error {
	sealed, err := t.store.SealedSets(ctx)
	if err != nil {
		return err
	}
	for _, s := range sealed {
		images, err := t.parityImages(ctx, s)
		if err != nil {
			return fmt.Errorf("set %s: %w", s.ID, err)
		}
		if err := t.store.SaveParity(ctx, s.ID, images); err != nil {
			return fmt.Errorf("set %s: %w", s.ID, err)
		}
		t.log.Info("planned parity discs", "set", s.ID, "discs", len(images))
	}
	return nil
}

// parityImages lays out the parity discs of a sealed set.
func (t *tender) parityImages(ctx context.Context, s postgres.SealedSet) ([]postgres.PlannedImage, error) {
	set, err := discset.ReadSet(s.Description)
	if err != nil {
		return nil, err
	}
	capacity := s.Capacity
	if s.SpareAreas {
		capacity = archive.WithSpareAreas(s.Medium, capacity)
	}
	images := make([]postgres.PlannedImage, len(set.Parities))
	for i, p := range set.Parities {
		images[i].ID = p.ImageID
		if _, err := fmt.Sscanf(p.Label, "OD_%d", &images[i].Number); err != nil {
			return nil, fmt.Errorf("parity disc %d: %q is no label of this library's: %w", i, p.Label, err)
		}
	}
	if err := t.carry(ctx, s, set, images, pack.Room(capacity, s.Roots)); err != nil {
		return nil, err
	}
	for i := range images {
		disc, err := set.Compose(i, extras(images[i].Carries))
		if err != nil {
			return nil, err
		}
		images[i].Data = disc.Layout.Sectors()
		if err := protected(&images[i], capacity, s.Roots); err != nil {
			return nil, err
		}
	}
	return images, nil
}
