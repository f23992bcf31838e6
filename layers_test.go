package odarchive

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/odarchive/odarchive"

// mayImport is the architecture: every package of the project, and which others of the project it may import. A new
// package is an entry here, and so a decision.
var mayImport = map[string][]string{
	// What a disc contains.
	"archive":           {},
	"archive/tree":      {"archive"},
	"archive/catalogue": {"archive"},
	"archive/image":     {"archive", "archive/image/extent", "archive/image/iso9660", "archive/image/udf"},
	// The reader of an image knows nothing of its writer.
	"archive/image/extent":    {"archive"},
	"archive/image/udf":       {"archive", "archive/image/extent"},
	"archive/image/iso9660":   {"archive", "archive/image/extent"},
	"archive/ecc":             {"archive"},
	"archive/discset":         {"archive", "archive/image"},
	"archive/discset/decoder": {},
	"archive/snapshot":        {"archive"},
	"archive/pack":            {"archive", "archive/catalogue", "archive/ecc", "archive/image"},
	"archive/golden":          {}, // tests only, of all of them
	"archive/excerpt":         {"archive"},
	"archive/survey":          {"archive", "archive/catalogue", "archive/discset", "archive/ecc", "archive/excerpt", "archive/image", "archive/image/extent", "archive/snapshot"},
	// What a disc says about itself, against what is on it: the one place that knows both.
	"archive/audit": {"archive", "archive/catalogue", "archive/discset", "archive/image/extent", "archive/image/iso9660", "archive/image/udf", "archive/snapshot"},
	"archive/disc": {
		"archive", "archive/catalogue", "archive/ecc", "archive/image/extent", "archive/image/iso9660", "archive/image/udf",
	},
	"archive/rescue":  {"archive", "archive/catalogue", "archive/disc", "archive/discset", "archive/tree"},
	"archive/project": {"archive", "archive/catalogue", "archive/pack", "archive/tree"},

	// The machine.
	"robot":               {},
	"robot/port":          {},
	"robot/scsi":          {},
	"robot/scsi/iscsi":    {"robot/scsi"},
	"robot/scsi/scsitest": {},
	"robot/robottest":     {"robot"},
	"robot/robottest/simrig": {
		"robot", "robot/changer/denon", "robot/changer/dialect", "robot/changer/pioneer", "robot/changer/smc", "robot/changer/stack",
		"robot/drive/file", "robot/port", "robot/robottest", "robot/scsi", "robot/sim", "robot/sim/jukebox",
	},
	"robot/changer/pioneer": {"robot"},
	"robot/changer/stack":   {"robot"},
	"robot/changer/dialect": {"robot", "robot/changer/stack"},
	"robot/changer/denon":   {"robot"},
	"robot/changer/manual":  {"robot"},
	"robot/changer/smc":     {"robot", "robot/scsi"},
	"robot/drive/file":      {"robot"},
	"robot/drive/libburn":   {"robot", "robot/drive/mmc"},
	"robot/drive/mmc":       {"robot", "robot/scsi"},
	"robot/sim":             {"robot/drive/file"},
	"robot/sim/jukebox":     {"robot/drive/file", "robot/sim"},

	// What we know.
	"library":            {},
	"library/schedule":   {"library"},
	"library/durability": {},
	"library/health":     {},
	"library/simulate":   {"library", "library/schedule"},
	"library/postgres":   {"archive", "archive/catalogue", "archive/ecc", "archive/snapshot", "archive/survey", "library", "library/durability", "library/health", "library/schedule", "migrations"},
	"migrations":         {},

	// The processes. Controller and agent meet only in proto.
	"proto/odarchivev1":        {},
	"internal/pgserver":        {},
	"internal/pgserver/pgtest": {"internal/pgserver"},
	"internal/staging":         {},
	"internal/descriptor":      {},
	"internal/found":           {"archive/excerpt"},
	"internal/controller": {
		"archive", "archive/catalogue", "archive/discset", "archive/pack", "internal/descriptor", "internal/pgserver", "internal/staging",
		"library", "library/health", "library/postgres", "library/schedule", "library/simulate", "proto/odarchivev1",
	},
	"internal/agent/journal": {"proto/odarchivev1"},
	"internal/agent/doctor":  {"robot", "robot/drive/libburn"},
	"internal/agent": {
		"archive", "archive/catalogue", "archive/discset", "archive/ecc", "archive/excerpt", "archive/image", "archive/pack", "archive/survey",
		"internal/agent/doctor", "internal/agent/journal", "internal/descriptor", "internal/found", "proto/odarchivev1",
		"robot", "robot/changer/denon", "robot/changer/dialect", "robot/changer/manual", "robot/changer/pioneer", "robot/changer/smc",
		"robot/changer/stack", "robot/drive/file", "robot/drive/libburn", "robot/drive/mmc", "robot/port", "robot/scsi",
	},
	"internal/odtest": {
		"archive/image", "internal/agent", "internal/client", "internal/controller", "proto/odarchivev1",
		"robot/drive/file", "robot/sim", "robot/sim/jukebox",
	},
	"internal/rebuild":          {"archive", "archive/catalogue", "archive/discset", "archive/excerpt", "archive/snapshot", "archive/survey", "internal/found", "library"},
	"internal/rebuild/database": {"internal/pgserver", "internal/rebuild", "library", "library/postgres"},
	"internal/client":           {"archive", "archive/catalogue", "archive/tree", "internal/descriptor", "proto/odarchivev1"},
	"internal/cli": {
		"archive", "archive/audit", "archive/catalogue", "archive/disc", "archive/discset", "archive/ecc", "archive/excerpt", "archive/image", "archive/project", "archive/rescue",
		"archive/survey", "archive/tree", "internal/client", "internal/rebuild", "library", "library/durability", "library/simulate", "proto/odarchivev1",
	},

	// The commands only wire.
	"cmd/agent":      {"internal/agent", "internal/agent/doctor", "internal/found"},
	"cmd/controller": {"internal/controller"},
	"cmd/jukebox":    {"robot/sim", "robot/sim/jukebox"},
	"cmd/odarchive":  {"internal/cli", "internal/rebuild/database"},
}

// neverLinks says what may not be part of a program through any chain of imports: what a package's tests can't fake
// away and what a burner host need not have.
var neverLinks = map[string][]string{
	"archive/...":         {"google.golang.org/grpc", "github.com/jackc/pgx", "go.bug.st/serial"},
	"robot/...":           {"google.golang.org/grpc", "github.com/jackc/pgx"},
	"robot/changer/...":   {"go.bug.st/serial"},
	"robot/sim/...":       {"go.bug.st/serial", module + "/robot/changer"},
	"library":             {"google.golang.org/grpc", "github.com/jackc/pgx", "go.bug.st/serial"},
	"library/schedule":    {"os", "net", "database/sql", "google.golang.org/grpc", "github.com/jackc/pgx"},
	"library/simulate":    {"os", "net", "database/sql", "google.golang.org/grpc", "github.com/jackc/pgx"},
	"library/postgres":    {"google.golang.org/grpc", "go.bug.st/serial"},
	"internal/agent":      {"github.com/jackc/pgx", module + "/library", module + "/internal/controller"},
	"internal/controller": {"go.bug.st/serial", module + "/robot", module + "/internal/agent"},
	"internal/cli":        {"github.com/jackc/pgx", module + "/library/postgres", module + "/internal/controller", module + "/internal/agent"},
}

// directOnly names what is checked for direct imports: what Go's own packages link below is not ours to decide.
var directOnly = map[string]bool{"library/schedule": true, "library/simulate": true}

type listed struct {
	ImportPath    string
	Imports, Deps []string
}

func TestLayers(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range list(t, "./...") {
		name, ours := strings.CutPrefix(p.ImportPath, module+"/")
		if !ours {
			continue
		}
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("%s is not in the table of layers", name)
		}
		seen[name] = true
		for _, path := range p.Imports {
			if other, ours := strings.CutPrefix(path, module+"/"); ours && !slices.Contains(allowed, other) {
				t.Errorf("%s may not import %s", name, other)
			}
		}
		for _, other := range allowed {
			if !slices.Contains(p.Imports, module+"/"+other) {
				t.Errorf("%s does not import %s: take it out of the table", name, other)
			}
		}
	}
	for name := range mayImport {
		if !seen[name] {
			t.Errorf("%s is in the table of layers, and there is no such package", name)
		}
	}
}

func TestLinks(t *testing.T) {
	for pattern, forbidden := range neverLinks {
		for _, p := range list(t, "./"+pattern) {
			paths := p.Deps
			if directOnly[pattern] {
				paths = p.Imports
			}
			for _, path := range paths {
				for _, prefix := range forbidden {
					inside := strings.HasPrefix(p.ImportPath, prefix)
					if !inside && (path == prefix || strings.HasPrefix(path, prefix+"/")) {
						t.Errorf("%s links %s", p.ImportPath, path)
					}
				}
			}
		}
	}
}

func list(t *testing.T, pattern string) (packages []listed) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", pattern).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", pattern, err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
