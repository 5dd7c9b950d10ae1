"""Decides about a message of which a request to the Cloud API may be out, or may have been taken.

Nobody can ask the Cloud API for a request, and two equal ones are two messages. So the row of each
request is on disk before it begins, one whose end is not known is *in doubt*, and only when the
time has passed in which it could still be taken or be heard of does its policy decide. Pure.

    states    every state of a message, and the facts beside it
    events    whatever may happen to it
    effects   whatever is to be done then, by ``owner.cloud.doubts``
    machine   the one table: state and event to state and effects
    schedule  when time may change a state
    verdict   what becomes of a message in doubt as time passes
    found     the state of a message that an owner before this one left behind

Rules of this package:
  * evidence ends every state, whichever attempt it is of;
  * nothing begins whose row is not on disk, and no two requests of a message are out at once;
  * a window is never shorter than the fence: the time after which no old owner can begin a request,
    finish one, or have one taken;
  * after the window, and with the way of webhooks proven (``flow.proof``) or for long enough
    unproven, what came in meanwhile is read once more; then the policy has its say;
  * an attempt that may have been taken counts; one that was surely not taken does not, nor does one
    more that found out whether messages are taken at all, while none was;
  * of a message that is told as failed nothing is sent any more, and its lane stays shut until no
    request of it can be taken.
"""
