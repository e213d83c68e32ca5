// simulator.h supplies what this header of CUDA has.
#pragma once
