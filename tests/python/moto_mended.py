"""What moto gets wrong of AWS, mended: imported before its server begins."""

import functools
import threading

from moto.dynamodb.responses import DynamoHandler


def mend_transactions_side_by_side():
    """A transaction that fails puts the whole table back as it was when it began, on a thread of its
    own: whatever others wrote in between was lost. AWS isolates transactions; here one comes after the other."""
    one_at_a_time = threading.Lock()
    answer = DynamoHandler.call_action

    @functools.wraps(answer)
    def alone(handler):
        with one_at_a_time:
            return answer(handler)

    DynamoHandler.call_action = alone


mend_transactions_side_by_side()
