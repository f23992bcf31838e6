package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/pack"
	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/postgres"
)

// planner puts what waits in vaults onto images.
type planner struct {
	store *postgres.Store
	log   *slog.Logger
}

// planInterval is how often vaults are looked at when nothing changes: archives grow older.
const planInterval = time.Minute

func (p *planner) run(ctx context.Context, changes *hub) error {
	tick := time.NewTicker(planInterval)
	defer tick.Stop()
	for {
		changed := changes.wait(postgres.PlanKey)
		if err := p.plan(ctx); err != nil && ctx.Err() == nil {
			p.log.Error("planning failed; it is tried again", "error", err)
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *planner) plan(ctx context.Context) error {
	pending, err := p.store.Pending(ctx)
	if err != nil || len(pending) == 0 {
		return err
	}
	targets, err := p.store.Targets(ctx)
	if err != nil {
		return err
	}
	for _, v := range pending {
		spare, err := p.store.SpareAreas(ctx, v.Vault.ID)
		if err != nil {
			return err
		}
		t, capacity := targetFor(spare, targets)
		if capacity == 0 {
			if err := p.store.Wait(ctx, v.Vault.ID, "no library has a blank disc to spare: put some in and say so with 'odarchive library stock'"); err != nil {
				return err
			}
			continue
		}
		if err := p.planVault(ctx, v, t, capacity); err != nil {
			return fmt.Errorf("plan vault %s: %w", v.Vault.Name, err)
		}
	}
	return nil
}

// planVault makes images of so many sectors of what waits in a vault: of all of it when some of it is due, otherwise of as many as are full.
func (p *planner) planVault(ctx context.Context, v postgres.Pending, t postgres.Target, capacity int64) error {
	roots := v.Vault.Roots
	room, err := imageRoom(v.Vault, capacity)
	if errors.Is(err, discset.ErrTooSmall) {
		return p.store.Wait(ctx, v.Vault.ID, err.Error())
	} else if err != nil {
		return err
	}
	if !v.Due && v.Bytes < room*archive.SectorSize {
		return nil
	}
	archives := make([]pack.Archive, len(v.Archives))
	ids := map[archive.Hash]int64{}
	for i, a := range v.Archives {
		archives[i].Archive = catalogue.Archive{ID: a.ID, Name: a.Name, Description: a.Description, RootHash: archive.Hash(a.RootHash), ManifestSize: a.ManifestSize, Sealed: a.Sealed}
		for f, err := range p.store.PendingFiles(ctx, a.ID) {
			if err != nil {
				return err
			}
			ids[f.Content.Hash] = f.ContentID
			archives[i].Files = append(archives[i].Files, pack.File{Path: f.Path, Content: f.Content, Mode: f.Mode, ModTime: f.ModTime})
		}
	}
	created := time.Now().UTC().Truncate(time.Second)
	lib, err := p.store.LibraryName(ctx, t.LibraryID)
	if err != nil {
		return err
	}
	places := placer{v: v.Vault}
	if v.Vault.SetData > 0 {
		if places.next, err = p.store.SetPlace(ctx, v.Vault, t); err != nil {
			return err
		}
	}
	images, err := pack.Plan(room, archives, func() (catalogue.Disc, error) {
		number, err := p.store.NewImageNumber(ctx)
		disc := catalogue.NewDisc(uuid.NewString(), number, v.Vault.Name, t.LibraryID, lib, t.Medium, created)
		disc.Protected, disc.Capacity = roots != 0, t.Capacity
		disc.Policy = &catalogue.Policy{
			VaultID: v.Vault.ID, Created: v.Vault.Created, Copies: v.Vault.Copies, MaxWait: v.Vault.MaxWait.Truncate(time.Second), Roots: roots,
		}
		disc.Parity = places.take()
		return disc, err
	})
	if errors.Is(err, pack.ErrTooSmall) {
		return p.store.Wait(ctx, v.Vault.ID, err.Error())
	} else if err != nil {
		return err
	}
	if !v.Due {
		images = fullOnes(images)
	}
	if len(images) == 0 {
		return nil
	}
	planned := make([]postgres.PlannedImage, len(images))
	for i, img := range images {
		if planned[i], err = plannedImage(img, capacity, roots, ids); err != nil {
			return err
		}
		p.log.Info("planned image", "image", planned[i].ID, "number", planned[i].Number, "vault", v.Vault.Name, "sectors", planned[i].Sectors, "files", len(img.Files))
	}
	err = p.store.SavePlan(ctx, v.Vault, t, planned)
	if library.FaultOf(err) == library.Stale {
		return nil // another controller was faster
	}
	return err
}

// fullOnes leaves out the image that has room, and with it those before it whose last content goes on there.
func fullOnes(images []*pack.Image) []*pack.Image {
	for len(images) > 0 {
		n := len(images)
		last := images[n-1]
		images = images[:n-1]
		if n == 1 || !slices.ContainsFunc(images[n-2].Files, func(f catalogue.File) bool {
			return f.Part < f.Parts && slices.ContainsFunc(last.Files, func(g catalogue.File) bool { return g.Content.Hash == f.Content.Hash })
		}) {
			break
		}
	}
	return images
}

// protected decides on an image's error correction, and with it on all that is burned.
func protected(img *postgres.PlannedImage, capacity int64, roots int) error {
	img.Sectors = img.Data
	if roots != 0 {
		g, burned, err := pack.Protect(capacity, roots, img.Data)
		if err != nil {
			return fmt.Errorf("image %s: %w", img.ID, err)
		}
		img.Sectors, img.Layer = burned, g.Layer
	}
	if img.Sectors > capacity {
		return fmt.Errorf("image %s takes %d sectors of a disc's %d", img.ID, img.Sectors, capacity)
	}
	return nil
}

func plannedImage(img *pack.Image, capacity int64, roots int, ids map[archive.Hash]int64) (postgres.PlannedImage, error) {
	c, err := img.Compose()
	if err != nil {
		return postgres.PlannedImage{}, err
	}
	planned := postgres.PlannedImage{ID: img.Disc.ImageID, Number: img.Disc.Number, Data: c.Layout.Sectors(), Created: img.Disc.Created, Capacity: img.Disc.Capacity}
	if p := img.Disc.Parity; p != nil {
		planned.Set = postgres.SetPlace{Set: p.Set, Index: p.Index, Data: p.Data, Parity: p.Images}
	}
	if err := protected(&planned, capacity, roots); err != nil {
		return planned, err
	}
	for _, a := range img.Disc.Archives {
		planned.Archives = append(planned.Archives, postgres.ImageArchive{ArchiveID: a.ID, Directory: a.Directory})
	}
	parts := map[archive.Hash]catalogue.File{}
	for _, f := range img.Files {
		if f.Parts > 0 {
			parts[f.Content.Hash] = f
		}
	}
	for r, sector := range c.Runs {
		f := parts[r.Hash]
		planned.Extents = append(planned.Extents, postgres.PlannedExtent{
			ContentID: ids[r.Hash], Offset: r.Offset, Length: r.Length, Sector: sector, Part: f.Part, Parts: f.Parts,
		})
	}
	return planned, nil
}
