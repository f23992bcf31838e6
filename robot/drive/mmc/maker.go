package mmc

import (
	"context"
	"strings"

	"github.com/odarchive/odarchive/robot/scsi"
)

// maker returns who made the disc and as what; empty when the drive doesn't tell, which is no reason not to read it.
func (d *Drive) maker(ctx context.Context, medium string) string {
	b := make([]byte, 116)
	look := func(media, format byte, parse func([]byte) string) string {
		n, err := d.ask(ctx, scsi.ReadDiscStructure(media, format, uint16(len(b))), b)
		if err != nil {
			return ""
		}
		return parse(b[:n])
	}
	switch {
	case strings.HasPrefix(medium, "BD-R"):
		return look(scsi.StructureBD, 0, scsi.ParseBDMediaID)
	case strings.HasPrefix(medium, "DVD+R"):
		// The ADIP, which some drives give as the physical format only.
		if id := look(scsi.StructureDVD, 0x11, scsi.ParseDVDPlusMediaID); id != "" {
			return id
		}
		return look(scsi.StructureDVD, 0, scsi.ParseDVDPlusMediaID)
	}
	return ""
}
