// The table of a learning rate's schedule: its rows, which passes share with the runtime.

#ifndef DSC_IR_SCHEDULETABLE_H
#define DSC_IR_SCHEDULETABLE_H

#include "runtime/abi.h" // dsc_schedule_row, dsc_schedule_curve, DSC_SCHEDULE_PIECES

#endif // DSC_IR_SCHEDULETABLE_H
