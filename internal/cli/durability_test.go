package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
)

func TestDurability(t *testing.T) {
	run := func(args ...string) (int, []byte) {
		var out, errs bytes.Buffer
		code := Run(context.Background(), append([]string{"durability", "--json"}, args...), &out, &errs)
		return code, out.Bytes()
	}
	var got struct {
		Sets    int
		Results []struct {
			Case       string
			AnyPerYear float64 `json:"any_per_year"`
		}
	}
	code, out := run("--discs", "600", "--failures", "2", "--disc-years", "1500", "--interval-days", "90")
	if err := json.Unmarshal(out, &got); err != nil || code != ExitOK || got.Sets != 42 || len(got.Results) != 3 ||
		got.Results[0].AnyPerYear >= got.Results[1].AnyPerYear || got.Results[1].AnyPerYear >= got.Results[2].AnyPerYear {
		t.Errorf("code %d, %s, %v", code, out, err)
	}
	for _, args := range [][]string{{"--discs", "3"}, {"--rate", "-1"}, {"--rate", "1", "--failures", "2"}, {"--failures", "2"}, {"--interval-days", "0"}} {
		if code, _ := run(args...); code != ExitUsage {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
}
