package kernel

import "testing"

func TestParse(t *testing.T) {
	for _, tt := range []struct{ release, version, want string }{
		{"6.18.44-fc-v782", "#1 SMP PREEMPT_DYNAMIC", "6.18.44"},
		{"6.1.0-57-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-3 (2026-11-20)", "6.1.192"},
		{"7.3.4+deb13-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 7.3.4-1~bpo13+1 (2026-11-20)", "7.3.4"},
		{"5.14.0-503.el9.x86_64", "#1 SMP PREEMPT_DYNAMIC", "5.14"},
		{"6.8.0-45-generic", "#45-Ubuntu SMP", "6.8"},
		{"4.19-rc8", "", "4.19"},
		{"Windows", "", "0.0"},
	} {
		if got := parse(tt.release, tt.version); got.String() != tt.want {
			t.Errorf("%s %s: got %s, want %s", tt.release, tt.version, got, tt.want)
		}
	}
	if Running().Before(Version{2, 6}) {
		t.Errorf("this one: %s", Running())
	}
}

func TestOld(t *testing.T) {
	for v, old := range map[Version]bool{
		{}: false, {5, 10}: false, {5, 10, 262}: false, {6, 1, 3}: false, {10, 0}: false,
		{5, 9, 255}: true, {5, 4, 290}: true, {4, 19}: true,
	} {
		if got := v.Old() != ""; got != old {
			t.Errorf("%s: got %t", v, got)
		}
	}
}
