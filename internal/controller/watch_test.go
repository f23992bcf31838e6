package controller

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/odarchive/odarchive/library/postgres"
)

// An alert is said once when it comes and once when it is over; whoever probes hears of it as long as it lasts.
func TestWatcher(t *testing.T) {
	var out bytes.Buffer
	w := &watcher{ready: grpchealth.NewServer(), log: slog.New(slog.NewTextHandler(&out, nil))}
	a, b := postgres.Alert{Library: "north", Kind: "drive", Text: "dust"}, postgres.Alert{Library: "north", Kind: "disc", Text: "worn"}
	for i, c := range []struct {
		alerts     []postgres.Alert
		news, over int
	}{
		{nil, 0, 0},
		{[]postgres.Alert{a}, 1, 0},
		{[]postgres.Alert{a}, 0, 0},
		{[]postgres.Alert{b, a}, 1, 0},
		{[]postgres.Alert{b}, 0, 1},
		{nil, 0, 1},
	} {
		out.Reset()
		w.tell(c.alerts)
		if n, over := strings.Count(out.String(), "somebody is needed"), strings.Count(out.String(), "an alert is over"); n != c.news || over != c.over {
			t.Errorf("%d: %s", i, out.String())
		}
		want := healthpb.HealthCheckResponse_SERVING
		if len(c.alerts) > 0 {
			want = healthpb.HealthCheckResponse_NOT_SERVING
		}
		got, err := w.ready.Check(t.Context(), &healthpb.HealthCheckRequest{Service: AlertService})
		if err != nil || got.GetStatus() != want {
			t.Errorf("%d: %v %v", i, got, err)
		}
	}
}

func TestEvacuationAlert(t *testing.T) {
	const day = 86400
	for _, c := range []struct {
		lib     postgres.Library
		seconds float64
		says    string
	}{
		{postgres.Library{Recorded: 600, EvacuationLimit: 30 * day}, 2 * day, ""},
		{postgres.Library{Recorded: 600, EvacuationLimit: day}, 2 * day, "takes 48h0m0s, more than the 24h0m0s"},
		{postgres.Library{Recorded: 600, EvacuationLimit: day}, 0, "no drive in service"},
		{postgres.Library{Recorded: 600}, 2 * day, ""}, // no limit was set
		{postgres.Library{EvacuationLimit: day}, 0, ""},
	} {
		if got := evacuationAlert(c.lib, c.seconds); (got.Text == "") != (c.says == "") || (got.Next == "") != (c.says == "") || !strings.Contains(got.Text, c.says) {
			t.Errorf("%+v in %g s: %v, want %q", c.lib, c.seconds, got, c.says)
		}
	}
}
