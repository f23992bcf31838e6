package controller

import (
	"crypto/tls"
	"strings"
	"testing"
)

func TestPlainTextStaysOnThisMachine(t *testing.T) {
	for address, allowed := range map[string]bool{
		"127.0.0.1:0": true, "localhost:0": true, "[::1]:0": true,
		":0": false, "0.0.0.0:0": false, "[::]:0": false, "192.0.2.1:7410": false, "controller.example:7410": false,
	} {
		m := &Main{}
		if !allowed {
			if _, _, err := m.listen(address); err == nil || !strings.Contains(err.Error(), "--tls-cert") {
				t.Errorf("plain text on %s: %v", address, err)
			}
		} else if !loopback(address) {
			t.Errorf("%s is refused", address)
		}
	}
	l, _, err := (&Main{TLS: &tls.Config{}}).listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
