package project

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/odarchive/odarchive/archive"
)

// media are what discs hold, in sectors. The short names are odarchive 0.1's and mean the smallest disc that is sold under that name,
// without spare areas; "-spare" is a BD-R that was formatted with the usual ones (3.2 %), "-minspare" one with the least that drives offer.
// READ FORMAT CAPACITIES of a drive has the last word (MMC-6 §6.23).
var media = map[string]int64{
	"cd":          359_424, // what every 80 minutes disc holds; 360,000 frames less its lead-in
	"cd-74":       332_850, // 74·60·75 − 150
	"dvd":         2_295_104,
	"dvd+r":       2_295_104,
	"dvd-r":       2_298_496,
	"dvd-dl":      4_171_712,
	"dvd-r-dl":    4_171_712,
	"dvd+r-dl":    4_173_824,
	"bd":          12_219_392,
	"bluray":      12_219_392,
	"bd-spare":    11_826_176,
	"bd-minspare": 12_088_320,
	"bd-dl":       24_438_784,
	"bd-dl-spare": 23_652_352,
	"bd-xl":       48_878_592,
	"bd-xl-spare": 47_305_728,
	"bd-xx":       62_500_864,
	"bd-xx-spare": 60_403_712,
}

// Media returns the names of media that Capacity knows, in ascending order.
func Media() []string { return slices.Sorted(maps.Keys(media)) }

// Capacity returns how many whole sectors a size has: the name of a medium, or bytes, with a unit or without ("23GB", "22.5GiB",
// "25,025,314,816"). Images have at least a few hundred sectors.
func Capacity(size string) (sectors int64, err error) {
	name := strings.ToLower(strings.ReplaceAll(size, " ", ""))
	if n, ok := media[name]; ok {
		return n, nil
	}
	digits := strings.TrimRight(name, "abcdefghijklmnopqrstuvwxyz")
	factor, ok := map[string]float64{
		"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	}[name[len(digits):]]
	n, parseErr := strconv.ParseFloat(strings.ReplaceAll(digits, ",", ""), 64)
	bytes := n * factor
	if !ok || parseErr != nil || math.IsNaN(bytes) || bytes < archive.SectorSize || bytes >= 1<<53 {
		return 0, fmt.Errorf("%q is no size: want bytes, as in 25025314816 or 23GB, or one of %s", size, strings.Join(Media(), ", "))
	}
	return int64(bytes) / archive.SectorSize, nil
}
