package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/robot/drive/libburn"
)

// host makes a host of files; what begins with "->" is a link.
func host(t *testing.T, files map[string]string) Host {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, link := strings.CutPrefix(text, "->"); link {
			err = os.Symlink(to, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return Host{
		Root:   root,
		Access: func(string) error { return nil },
		Probe:  func(context.Context, string) (libburn.Version, error) { return libburn.Version{1, 5, 4}, nil },
	}
}

func good() map[string]string {
	return map[string]string{
		"/proc/sys/dev/cdrom/autoclose":           "0\n",
		"/proc/sys/dev/cdrom/lock":                "0\n",
		"/etc/udev/rules.d/60-cdrom_id.rules":     "# --lock-media was here\nIMPORT{program}=\"cdrom_id $devnode\"\n",
		"/usr/lib/udev/rules.d/60-cdrom_id.rules": "IMPORT{program}=\"cdrom_id --lock-media $devnode\"\n",
		"/dev/sr0": "", "/dev/sr1": "", "/dev/sg3": "", "/dev/ttyUSB0": "",
		"/dev/disk/by-path/pci-0000:00:14.0-usb-0:1:1.0-scsi-0:0:0:0": "->../../sr0",
		"/dev/serial/by-id/usb-FTDI_X-if00-port0":                     "->../../ttyUSB0",
		"/sys/class/block/sr0/device/vendor":                          "PIONEER ",
		"/sys/class/block/sr0/device/model":                           "BD-RW   BDR-209M",
		"/sys/class/block/sr0/device/rev":                             "1.50",
		"/sys/class/scsi_generic/sg3/device/type":                     "8\n",
		"/sys/class/scsi_generic/sg3/device/model":                    "L700",
	}
}

const byPath = "/dev/disk/by-path/pci-0000:00:14.0-usb-0:1:1.0-scsi-0:0:0:0"

func configured(h Host) Host {
	h.Drives = []Drive{{Number: 1, Path: byPath, Burns: true}}
	h.Changer, h.Port = "/dev/sg3", "/dev/serial/by-id/usb-FTDI_X-if00-port0"
	return h
}

func TestWell(t *testing.T) {
	all := configured(host(t, good())).Examine(t.Context())
	if Worst(all) != OK || len(all) < 7 {
		t.Errorf("%v", all)
	}
	if !found(all, OK, "drive 1", "PIONEER BD-RW   BDR-209M 1.50", "") {
		t.Errorf("no model in %v", all)
	}
}

func found(all []Finding, level Level, subject, text, remedy string) bool {
	for _, f := range all {
		if f.Level == level && f.Subject == subject && strings.Contains(f.Text, text) && strings.Contains(f.Remedy, remedy) {
			return true
		}
	}
	return false
}

func TestIll(t *testing.T) {
	for name, c := range map[string]struct {
		change                func(map[string]string)
		configure             func(*Host)
		level                 Level
		subject, text, remedy string
	}{
		"autoclose": {
			change: func(f map[string]string) { f["/proc/sys/dev/cdrom/autoclose"] = "1\n" },
			level:  Problem, subject: "dev.cdrom.autoclose", text: "is 1", remedy: "sysctl -w dev.cdrom.autoclose=0",
		},
		"no driver": {
			change: func(f map[string]string) { delete(f, "/proc/sys/dev/cdrom/lock") },
			level:  Note, subject: "dev.cdrom.lock", text: "not loaded",
		},
		"udev locks": {
			change: func(f map[string]string) { delete(f, "/etc/udev/rules.d/60-cdrom_id.rules") },
			level:  Warning, subject: "udev", text: "/usr/lib/udev/rules.d", remedy: "sed",
		},
		"udisks": {
			change: func(f map[string]string) { f["/usr/libexec/udisks2/udisksd"] = "" },
			level:  Warning, subject: "udisks", remedy: "mask",
		},
		"udisks masked": {
			change: func(f map[string]string) {
				f["/usr/libexec/udisks2/udisksd"] = ""
				f["/etc/systemd/system/udisks2.service"] = "->/dev/null"
			},
			level: OK, subject: "udisks", text: "masked",
		},
		"no cdrskin": {
			configure: func(h *Host) {
				h.Probe = func(context.Context, string) (libburn.Version, error) {
					return libburn.Version{}, errors.New("not installed")
				}
			},
			level: Problem, subject: "cdrskin", text: "not installed", remedy: "apt-get",
		},
		"unstable name": {
			configure: func(h *Host) { h.Drives[0].Path = "/dev/sr0" },
			level:     Warning, subject: "drive 1", text: "changes", remedy: "use " + byPath,
		},
		"unstable port": {
			configure: func(h *Host) { h.Port = "/dev/ttyUSB0" },
			level:     Warning, subject: "serial port", remedy: "use /dev/serial/by-id/",
		},
		"missing drive": {
			configure: func(h *Host) { h.Drives[0].Path = "/dev/sr7" },
			level:     Problem, subject: "drive 1", text: "/dev/sr7 is not there",
		},
		"no rights": {
			configure: func(h *Host) { h.Access = func(string) error { return os.ErrPermission } },
			level:     Problem, subject: "drive 1", text: "permission", remedy: "-aG cdrom",
		},
		"twice": {
			configure: func(h *Host) { h.Drives = append(h.Drives, Drive{Number: 2, Path: "/dev/sr0"}) },
			level:     Problem, subject: "drive 1", text: "drive 1 and drive 2 are all /dev/sr0",
		},
		"unused drive": {
			change: func(f map[string]string) { f["/sys/class/block/sr1/device/model"] = "BDR-X" },
			level:  Note, subject: "/dev/sr1", text: "not configured", remedy: "drives map",
		},
		"unused changer": {
			configure: func(h *Host) { h.Changer = "" },
			level:     Note, subject: "/dev/sg3", text: "L700",
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := good()
			if c.change != nil {
				c.change(files)
			}
			h := configured(host(t, files))
			if c.configure != nil {
				c.configure(&h)
			}
			if all := h.Examine(t.Context()); !found(all, c.level, c.subject, c.text, c.remedy) {
				t.Errorf("nothing of %s %s in:\n%v", c.level, c.subject, all)
			}
		})
	}
}

func TestRealHost(t *testing.T) {
	for _, f := range (Host{Root: "/", Drives: []Drive{{Number: 1, Path: "/dev/nonexistent", Burns: true}}}).Examine(t.Context()) {
		if f.Text == "" || f.Subject == "" || f.String() == "" {
			t.Errorf("%+v", f)
		}
	}
}
