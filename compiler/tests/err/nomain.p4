// No package.
#include <core.p4>
