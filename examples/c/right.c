/* A focal loss that is right: cc -std=c11 -O2 -o right right.c -lm */
#include "protocol.h"

#include "focal.h"

int main(void) { return serve("c-right", focal_loss); }
