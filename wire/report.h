/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What decoding found: verdicts and error causes, the same for ASAP and ENRP. */
#ifndef RSP_WIRE_REPORT_H
#define RSP_WIRE_REPORT_H

#include <stdint.h>

/** Error causes (RFC 5354 §3.12). */
enum rsp_cause {
    CAUSE_UNSPECIFIED = 0x0,
    CAUSE_UNRECOGNIZED_PARAMETER = 0x1,
    CAUSE_UNRECOGNIZED_MESSAGE = 0x2,
    CAUSE_INVALID_VALUES = 0x3,
    CAUSE_NON_UNIQUE_PE_ID = 0x4,
    CAUSE_INCONSISTENT_POLICY = 0x5,
    CAUSE_LACK_OF_RESOURCES = 0x6,
    CAUSE_INCONSISTENT_TRANSPORT = 0x7,
    CAUSE_INCONSISTENT_DATA_CONTROL = 0x8,
    CAUSE_UNKNOWN_POOL_HANDLE = 0x9,
    CAUSE_SECURITY = 0xa
};
/** "Inconsistent Pooling Policy" …; never NULL. */
const char *rsp_cause_name(uint16_t cause);
/** rsplib's private cause numbers to the RFC's (parameters.md §6); RFC numbers stay; the rest is
 *  unspecified. */
uint16_t rsp_cause_map(uint16_t cause);

#define ASAP_CAUSES_MAX 8

/** One cause of an Operation Error; the body is borrowed. */
struct asap_cause {
    uint16_t code;
    const uint8_t *body;
    uint16_t body_len;
};

/** What a decoder found. The daemon's answer follows from it alone. */
enum wire_verdict {
    WIRE_OK,             /* msg is complete; `report` may still hold causes to send in an ERROR */
    WIRE_DISCARD,        /* drop without a word (unknown "stop" type or message) */
    WIRE_DISCARD_REPORT, /* drop, send ERROR with the causes in `report` */
    WIRE_INVALID         /* malformed: report.causes[0] is Invalid Values with the TLV if complete.
                            msg->type and, as far as they were read, handle and pe_id are valid, so
                            that requests get a response with that cause */
};

/** The bodies borrow from the decoded octets and always fit one ERROR or response together. */
struct wire_report {
    uint16_t cause_count;
    struct asap_cause causes[ASAP_CAUSES_MAX];
    const char *text; /* what was wrong, for the log; static string or NULL */
};

#endif
