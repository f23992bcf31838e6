package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// node looks at a device node. Kind is where its stable names are: "disk", "serial", or empty where there are none.
func (h Host) node(subject, path, kind string) (all []Finding) {
	real, err := h.resolve(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{{Problem, subject, path + " is not there", "is it switched on and plugged in? ls /dev/sr* /dev/sg* /dev/serial/by-id"}}
	case err != nil:
		return []Finding{{Problem, subject, err.Error(), ""}}
	}
	if err := h.Access(h.at(real)); err != nil {
		all = append(all, Finding{
			Problem, subject, fmt.Sprintf("%s can't be read and written by this user: %v", real, err),
			"usermod -aG " + h.group(real) + " USER, where USER is the agent's",
		})
	}
	if kind != "" && real == filepath.Clean(path) {
		f := Finding{Warning, subject, path + " is a number that changes when devices are plugged in anew", "none of its names is stable: keep the plugs where they are"}
		if names := h.stable(real, kind); len(names) > 0 {
			f.Remedy = "use " + names[0]
		}
		all = append(all, f)
	}
	if len(all) == 0 {
		text := path
		if model := h.model(real); model != "" {
			text += ": " + model
		}
		all = append(all, Finding{OK, subject, text, ""})
	}
	return all
}

// resolve follows links below the root.
func (h Host) resolve(path string) (string, error) {
	p, err := filepath.EvalSymlinks(h.at(path))
	if err != nil {
		return "", err
	}
	root, err := filepath.EvalSymlinks(h.at("/"))
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(root, p)
	return "/" + rel, err
}

// stable returns the names of a node that stay, the best first: by the plug, because two drives of a kind may lack a serial
// number or have the same.
func (h Host) stable(real, kind string) (names []string) {
	for _, by := range []string{"by-path", "by-id"} {
		dir := filepath.Join("/dev", kind, by)
		entries, _ := os.ReadDir(h.at(dir))
		for _, e := range entries {
			name := filepath.Join(dir, e.Name())
			if p, err := h.resolve(name); err == nil && p == real {
				names = append(names, name)
			}
		}
	}
	return names
}

// group is who owns such a node as distributions have it.
func (h Host) group(real string) string {
	switch name := filepath.Base(real); {
	case strings.HasPrefix(name, "sr"):
		return "cdrom"
	case strings.HasPrefix(name, "tty"):
		return "dialout"
	}
	return "tape" // of changers behind /dev/sg; disk with some
}

// model is what the kernel knows of a SCSI device.
func (h Host) model(real string) string {
	name := filepath.Base(real)
	class := "block"
	if strings.HasPrefix(name, "sg") {
		class = "scsi_generic"
	}
	var words []string
	for _, f := range []string{"vendor", "model", "rev"} {
		if v, err := h.read(filepath.Join("/sys/class", class, name, "device", f)); err == nil {
			words = append(words, v)
		}
	}
	return strings.Join(words, " ")
}

// Attached returns the nodes of the disc drives that the kernel has, by their stable names where they have some.
func (h Host) Attached() (nodes []string) {
	entries, _ := os.ReadDir(h.at("/sys/class/block"))
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "sr") {
			continue
		}
		node := "/dev/" + e.Name()
		if names := h.stable(node, "disk"); len(names) > 0 {
			node = names[0]
		}
		nodes = append(nodes, node)
	}
	return nodes
}

// unused: drives and changers that the kernel has and nobody configured, and one that was configured twice.
func (h Host) unused() (all []Finding) {
	used := map[string][]string{}
	note := func(subject, path string) {
		if real, err := h.resolve(path); path != "" && err == nil {
			used[real] = append(used[real], subject)
		}
	}
	for _, d := range h.Drives {
		note(fmt.Sprintf("drive %d", d.Number), d.Path)
	}
	note("changer", h.Changer)
	for real, by := range used {
		if len(by) > 1 {
			all = append(all, Finding{Problem, by[0], fmt.Sprintf("%s are all %s", strings.Join(by, " and "), real), "give each a device of its own"})
		}
	}
	slices.SortFunc(all, func(a, b Finding) int { return strings.Compare(a.Text, b.Text) })
	for _, node := range h.Attached() {
		if real, err := h.resolve(node); err == nil && used[real] == nil && !h.asSG(real, used) {
			all = append(all, Finding{Note, real, "a disc drive that is not configured: " + h.model(real), "odarchive-agent drives map"})
		}
	}
	entries, _ := os.ReadDir(h.at("/sys/class/scsi_generic"))
	for _, e := range entries {
		if t, err := h.read("/sys/class/scsi_generic/" + e.Name() + "/device/type"); err != nil || t != "8" {
			continue
		}
		if node := "/dev/" + e.Name(); used[node] == nil {
			all = append(all, Finding{Note, node, "a media changer that is not configured: " + h.model(node), ""})
		}
	}
	return all
}

// asSG says whether the drive of an sr node is in use by its sg node.
func (h Host) asSG(real string, used map[string][]string) bool {
	entries, _ := os.ReadDir(h.at("/sys/class/block/" + filepath.Base(real) + "/device/scsi_generic"))
	for _, e := range entries {
		if used["/dev/"+e.Name()] != nil {
			return true
		}
	}
	return false
}
