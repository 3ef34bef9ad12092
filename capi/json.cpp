// Boost.JSON, compiled here once: the library then depends on no other shared object for it.
#include <boost/json/src.hpp>
