package controller

import (
	"context"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/internal/staging"
	"github.com/odarchive/odarchive/library/postgres"
)

const (
	// smallContent is the largest content, in bytes, that shares a segment with others.
	smallContent = 4 << 20
	// segmentSize is when a shared segment is full.
	segmentSize = 256 << 20
	// groupSize and groupCount are how much is made durable together at most.
	groupSize  = 32 << 20
	groupCount = 8192
)

// collector gathers contents in segments and records them in groups: a group is made durable first, then recorded, and
// only then does anybody hear of it. What can be had from disc again is recorded first and made durable later.
type collector struct {
	store   *postgres.Store
	staging *staging.Store
	// record tells the catalogue of contents that lie durably in their segments.
	record func(ctx context.Context, staged []postgres.Staged) error
	// later, when not nil, makes the segments durable after what lies in them was recorded: of the cache.
	later *syncer

	segment *staging.Segment
	group   []postgres.Staged
	bytes   int64
}

// add appends a whole small content.
func (c *collector) add(ctx context.Context, content archive.Content, data []byte) error {
	if err := c.staging.Room(int64(len(data))); err != nil {
		return err
	}
	if c.segment == nil {
		id, err := c.store.NewSegment(ctx, c.later.bootID())
		if err != nil {
			return err
		}
		if c.segment, err = c.staging.Create(id); err != nil {
			return err
		}
	}
	offset := c.segment.Size()
	if _, err := c.segment.Write(data); err != nil {
		return err
	}
	c.group = append(c.group, postgres.Staged{Content: content, Segment: c.segment.ID, Offset: offset})
	c.bytes += content.Size
	return nil
}

// addFile makes a large content, whole in its file, a segment of its own.
func (c *collector) addFile(ctx context.Context, content archive.Content, file *staging.Incoming) error {
	defer file.Close()
	id, err := c.store.NewSegment(ctx, c.later.bootID())
	if err != nil {
		return err
	}
	if c.later == nil {
		err = file.Become(id)
	} else {
		err = file.BecomeUnsynced(id)
		defer c.later.add(id)
	}
	if err != nil {
		return err
	}
	if err := c.record(ctx, []postgres.Staged{{Content: content, Segment: id}}); err != nil {
		return err
	}
	return c.store.CloseSegment(ctx, id, content.Size)
}

// full says that the group should be committed before more is added.
func (c *collector) full() bool { return c.bytes >= groupSize || len(c.group) >= groupCount }

// commit makes the group durable, records it and returns its hashes.
func (c *collector) commit(ctx context.Context) ([][]byte, error) {
	if len(c.group) == 0 {
		return nil, nil
	}
	if c.later == nil {
		if err := c.segment.Sync(); err != nil {
			return nil, err
		}
	}
	if err := c.record(ctx, c.group); err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(c.group))
	for i := range c.group {
		hashes[i] = c.group[i].Content.Hash[:]
	}
	c.group, c.bytes = nil, 0
	if c.segment.Size() >= segmentSize {
		return hashes, c.close(ctx)
	}
	return hashes, nil
}

// close ends the open segment; what was not committed in it is nobody's.
func (c *collector) close(ctx context.Context) error {
	if c.segment == nil {
		return nil
	}
	g := c.segment
	c.segment = nil
	err := g.Close()
	if e := c.store.CloseSegment(context.WithoutCancel(ctx), g.ID, g.Size()); err == nil {
		err = e
	}
	if c.later != nil {
		c.later.add(g.ID)
	}
	return err
}
