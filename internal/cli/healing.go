package cli

import (
	"fmt"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// healings are the policies as they are typed and shown.
var healings = map[string]pb.Healing{
	"operator": pb.Healing_HEALING_OPERATOR, "now": pb.Healing_HEALING_MIGRATE_NOW, "soon": pb.Healing_HEALING_MIGRATE_SOON,
}

const healingHelp = "which discs are replaced by themselves once two drives agree: 'now', those that are to be migrated at once; 'soon', those that are to be within a year too; 'operator', none"

func parseHealing(word string) (pb.Healing, error) {
	h, ok := healings[word]
	if !ok {
		return h, fmt.Errorf("%q: want operator, now or soon", word)
	}
	return h, nil
}

func showHealing(h pb.Healing) string {
	for word, is := range healings {
		if is == h {
			return word
		}
	}
	return ""
}
