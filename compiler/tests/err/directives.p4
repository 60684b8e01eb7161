// Directives and macros used wrongly.
#define F(a, b) a + b
#define F 7
#include "missing.p4"
#include nothing
#frobnicate
#if 1 +
#endif
#else
const bit<8> X = F(1);
const bit<8> Y = 1 ## 2;
#error this is on purpose
#ifdef A
