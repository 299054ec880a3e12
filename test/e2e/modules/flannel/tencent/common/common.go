// Package common stands in for Tencent's SDK, which flanneld's backend for that cloud
// is compiled with, and which this build leaves out.
package common

func StringPtr(v string) *string { return &v }

func BoolPtr(v bool) *bool { return &v }

func StringPtrs(vs []string) []*string {
	list := make([]*string, len(vs))
	for i := range vs {
		list[i] = &vs[i]
	}
	return list
}
