# SPDX-License-Identifier: LGPL-2.1-or-later
"""Outside the guest there is no kernel SCTP: tests/lab/run starts it."""
import os

collect_ignore_glob = [] if os.environ.get("SCTP_LAB") else ["*"]
