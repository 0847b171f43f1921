package durable

// fullErrors is empty: the system has no numbers for them.
var fullErrors []error

var readOnlyErrors []error
