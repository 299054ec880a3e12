// Package errors stands in for Tencent's SDK: see package common.
package errors

type TencentCloudSDKError struct{}

func (*TencentCloudSDKError) Error() string { return "tencent-vpc: left out of this build" }
