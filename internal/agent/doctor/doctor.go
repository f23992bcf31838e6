// Package doctor looks at a burner host before anything is moved or burned: settings of the system that pull trays in under a
// robot's hand, names that change, programs and rights that are missing; and finds out which drive of the robot is which device.
// It changes nothing on the host, and knows nothing of controllers.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/robot/drive/libburn"
)

// Level is how bad a finding is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Note    Level = "note"    // worth knowing
	Warning Level = "warning" // will give trouble some day
	Problem Level = "problem" // does not work, or is dangerous
)

// Finding is one thing that was looked at.
type Finding struct {
	Level   Level  `json:"level"`
	Subject string `json:"subject"` // "drive 1", "udev"
	Text    string `json:"text"`
	Remedy  string `json:"remedy,omitempty"` // what to do, as a command where that is one
}

func (f Finding) String() string {
	s := fmt.Sprintf("%-8s%s: %s", f.Level, f.Subject, f.Text)
	if f.Remedy != "" {
		s += "\n        " + f.Remedy
	}
	return s
}

// Drive is a configured drive.
type Drive struct {
	Number int
	Path   string
	Burner string // program; empty means the default
	Burns  bool
}

// Host is what is looked at.
type Host struct {
	// Root is where the host's files are; "/" but for tests.
	Root   string
	Drives []Drive
	// Changer is the node of a SCSI changer and Port a serial one; empty when there is none.
	Changer, Port string
	// Access says whether this process may read and write a file; nil asks the kernel.
	Access func(path string) error
	// Probe asks a burning program for its version; nil runs it.
	Probe func(ctx context.Context, program string) (libburn.Version, error)
}

// Examine looks at everything. Findings are in the order in which a person would look.
func (h Host) Examine(ctx context.Context) []Finding {
	if h.Access == nil {
		h.Access = func(path string) error { return unix.Access(path, unix.R_OK|unix.W_OK) }
	}
	if h.Probe == nil {
		h.Probe = libburn.Probe
	}
	var all []Finding
	if len(h.Drives) > 0 {
		all = append(all, h.sysctls()...)
		all = append(all, h.udev()...)
		all = append(all, h.automount()...)
		all = append(all, h.programs(ctx)...)
	}
	for _, d := range h.Drives {
		all = append(all, h.node(fmt.Sprintf("drive %d", d.Number), d.Path, "disk")...)
	}
	if h.Changer != "" {
		all = append(all, h.node("changer", h.Changer, "")...)
	}
	if h.Port != "" {
		all = append(all, h.node("serial port", h.Port, "serial")...)
	}
	return append(all, h.unused()...)
}

// Worst returns the worst level among findings.
func Worst(all []Finding) Level {
	order := []Level{OK, Note, Warning, Problem}
	worst := OK
	for _, f := range all {
		if slices.Index(order, f.Level) > slices.Index(order, worst) {
			worst = f.Level
		}
	}
	return worst
}

func (h Host) at(path string) string { return filepath.Join(h.Root, path) }

func (h Host) read(path string) (string, error) {
	b, err := os.ReadFile(h.at(path))
	return strings.TrimSpace(string(b)), err
}

// sysctls: any program that opens a drive without O_NONBLOCK closes its tray while autoclose is set (drivers/cdrom/cdrom.c).
func (h Host) sysctls() (all []Finding) {
	for _, s := range []struct{ name, does string }{
		{"autoclose", "a program that opens a drive pulls its tray in, with the robot's hand in it"},
		{"lock", "a program that opens a drive locks its disc in"},
	} {
		subject := "dev.cdrom." + s.name
		switch value, err := h.read("/proc/sys/dev/cdrom/" + s.name); {
		case errors.Is(err, os.ErrNotExist):
			all = append(all, Finding{Note, subject, "the kernel has no such setting: its driver for disc drives is not loaded", ""})
		case err != nil:
			all = append(all, Finding{Warning, subject, err.Error(), ""})
		case value != "0":
			all = append(all, Finding{
				Problem, subject, "is " + value + ": " + s.does,
				"sysctl -w " + subject + "=0, and the same in /etc/sysctl.d/odarchive.conf",
			})
		default:
			all = append(all, Finding{OK, subject, "is 0", ""})
		}
	}
	return all
}

const cdromRules = "60-cdrom_id.rules"

// udev: its rules lock the door at every change of medium. The agent unlocks before each move; a rule without it is calmer.
func (h Host) udev() []Finding {
	for _, dir := range []string{"/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d"} {
		path := filepath.Join(dir, cdromRules) // the first one with a name is the one that counts (udev(7))
		rules, err := h.read(path)
		if err != nil {
			continue
		}
		for line := range strings.Lines(rules) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") && strings.Contains(line, "--lock-media") {
				return []Finding{{
					Warning, "udev", path + " locks drives at every change of medium, so that a robot can be refused its disc",
					fmt.Sprintf("sed 's/ --lock-media//' %s > /etc/udev/rules.d/%s && udevadm control --reload", path, cdromRules),
				}}
			}
		}
		return []Finding{{OK, "udev", path + " locks no drives", ""}}
	}
	return []Finding{{OK, "udev", "no rules for disc drives", ""}}
}

// automount: who mounts each disc that appears keeps it from the robot and from the burner.
func (h Host) automount() []Finding {
	for _, program := range []string{"/usr/libexec/udisks2/udisksd", "/usr/lib/udisks2/udisksd"} {
		if _, err := os.Stat(h.at(program)); err != nil {
			continue
		}
		if to, err := os.Readlink(h.at("/etc/systemd/system/udisks2.service")); err == nil && to == "/dev/null" {
			return []Finding{{OK, "udisks", "is installed and masked", ""}}
		}
		return []Finding{{Warning, "udisks", "is installed: it opens, and for a desktop mounts, discs that the agent works with", "systemctl mask --now udisks2.service"}}
	}
	return []Finding{{OK, "udisks", "is not installed", ""}}
}

func (h Host) programs(ctx context.Context) (all []Finding) {
	seen := map[string]bool{}
	for _, d := range h.Drives {
		if !d.Burns || seen[d.Burner] {
			continue
		}
		seen[d.Burner] = true
		version, err := h.Probe(ctx, d.Burner)
		if err != nil {
			all = append(all, Finding{Problem, "cdrskin", err.Error(), "apt-get install cdrskin, or set read_only for the drive"})
			continue
		}
		all = append(all, Finding{OK, "cdrskin", "version " + version.String(), ""})
	}
	return all
}
