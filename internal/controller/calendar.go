package controller

import (
	"context"
	"log/slog"
	"time"

	"github.com/odarchive/odarchive/library/postgres"
)

// calendarInterval is how often it is looked whether a scrub has become due. Scrubs are due by the day.
const calendarInterval = time.Hour

// calendar queues scrubs when they are due.
type calendar struct {
	store *postgres.Store
	log   *slog.Logger
}

func (c *calendar) run(ctx context.Context) error {
	tick := time.NewTicker(calendarInterval)
	defer tick.Stop()
	for {
		n, err := c.store.KeepCalendar(ctx)
		if err != nil && ctx.Err() == nil {
			c.log.Error("keeping the scrub calendar failed; it is tried again", "error", err)
		}
		if n > 0 {
			c.log.Info("scrubs are due", "discs", n)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
