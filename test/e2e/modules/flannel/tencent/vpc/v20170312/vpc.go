// Package v20170312 stands in for Tencent's SDK: each call says that it is left out.
package v20170312

import "errors"

var errLeftOut = errors.New("tencent-vpc: left out of this build")

type Client struct{}

type Filter struct {
	Name   *string
	Values []*string
}

type Route struct {
	RouteId              *uint64
	DestinationCidrBlock *string
	GatewayType          *string
	GatewayId            *string
	RouteType            *string
	Enabled              *bool
}

type RouteTable struct {
	RouteTableId *string
	RouteSet     []*Route
}

type Tables struct{ RouteTableSet []*RouteTable }

type DescribeRouteTablesRequest struct{ Filters []*Filter }

type DescribeRouteTablesResponse struct{ Response *Tables }

type ChangeRoutesRequest struct {
	RouteTableId *string
	Routes       []*Route
}

func NewClientWithSecretId(_, _, _ string) (*Client, error) { return nil, errLeftOut }

func NewDescribeRouteTablesRequest() *DescribeRouteTablesRequest {
	return &DescribeRouteTablesRequest{}
}

func NewDeleteRoutesRequest() *ChangeRoutesRequest { return &ChangeRoutesRequest{} }

func NewCreateRoutesRequest() *ChangeRoutesRequest { return &ChangeRoutesRequest{} }

func (*Client) DescribeRouteTables(*DescribeRouteTablesRequest) (*DescribeRouteTablesResponse, error) {
	return nil, errLeftOut
}

func (*Client) DeleteRoutes(*ChangeRoutesRequest) (*Client, error) { return nil, errLeftOut }

func (*Client) CreateRoutes(*ChangeRoutesRequest) (*Client, error) { return nil, errLeftOut }
