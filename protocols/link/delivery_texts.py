"""What the numbers of protocols.link.delivery mean, for people; readers do not import this."""

from protocols.link.delivery import (
    RECEIPT_BEYOND_HEAD,
    STORED_BEYOND_HEAD,
)

TEXTS = {
    STORED_BEYOND_HEAD: "the agent holds records this journal never wrote",
    RECEIPT_BEYOND_HEAD: "a receipt for records this journal never wrote",
}
