package controller

import (
	"context"
	"log/slog"
	"time"

	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/odarchive/odarchive/library/postgres"
)

// AlertService is the name under which the standard health service of gRPC says whether there are alerts: any program that probes it
// needs nothing of our contract.
const AlertService = "alerts"

// alertInterval is how often it is looked whether somebody should do something.
const alertInterval = time.Minute

// watcher says, in the log and to whoever probes, when somebody should do something, and when that is over.
type watcher struct {
	store *postgres.Store
	ready *grpchealth.Server
	log   *slog.Logger
	said  map[postgres.Alert]bool // without what to do, which changes as things go on
}

func (w *watcher) run(ctx context.Context) error {
	tick := time.NewTicker(alertInterval)
	defer tick.Stop()
	for {
		all, err := alerts(ctx, w.store)
		switch {
		case err == nil:
			w.tell(all)
		case ctx.Err() == nil:
			w.log.Error("looking for alerts failed; it is tried again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// tell says what is new and what is over.
func (w *watcher) tell(all []postgres.Alert) {
	now := make(map[postgres.Alert]bool, len(all))
	for _, a := range all {
		next := a.Next
		a.Next = ""
		if now[a] = true; !w.said[a] {
			w.log.Warn("somebody is needed", "library", a.Library, "kind", a.Kind, "alert", a.Text, "next", next)
		}
	}
	for a := range w.said {
		if !now[a] {
			w.log.Info("an alert is over", "library", a.Library, "kind", a.Kind, "alert", a.Text)
		}
	}
	w.said = now
	state := healthpb.HealthCheckResponse_SERVING
	if len(all) > 0 {
		state = healthpb.HealthCheckResponse_NOT_SERVING
	}
	w.ready.SetServingStatus(AlertService, state)
}
