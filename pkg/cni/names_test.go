package cni

import "testing"

func TestValidName(t *testing.T) {
	for in, want := range map[string]bool{
		"a": true, "0": true, "pod-1.web_2": true, "A.": true,
		"": false, ".a": false, "-a": false, "_a": false, "a/b": false, "a b": false, "a\x00": false, "ä": false, "a\n": false,
	} {
		if got := ValidName(in); got != want {
			t.Errorf("%q: got %t, want %t", in, got, want)
		}
	}
}

func TestCheckLinkName(t *testing.T) {
	tests := []struct{ in, want string }{
		{"cni0", ""},
		{"exactly-15-char", ""},
		{"br.100", ""},
		{"...", ""}, // the kernel allows it
		{"", `"" is not a name for a link`},
		{".", `"." is not a name for a link`},
		{"..", `".." is not a name for a link`},
		{"one-more-than-15", `"one-more-than-15" is longer than 15 characters, the kernel's limit`},
		{"a/b", `"a/b" holds a slash, colon, percent sign or white space, which no link name may`},
		{"a:b", `"a:b" holds a slash, colon, percent sign or white space, which no link name may`},
		{"eth%d", `"eth%d" holds a slash, colon, percent sign or white space, which no link name may`},
		{"a b", `"a b" holds a slash, colon, percent sign or white space, which no link name may`},
		{"a\vb", `"a\vb" holds a slash, colon, percent sign or white space, which no link name may`},
		{"a\x00b", `"a\x00b" holds a slash, colon, percent sign or white space, which no link name may`},
		// isspace() of the kernel is that of ISO 8859-1 and knows the no-break space.
		{"a\xa0b", `"a\xa0b" holds a slash, colon, percent sign or white space, which no link name may`},
	}
	for _, tt := range tests {
		got := ""
		if err := CheckLinkName(tt.in); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}
