"""The parts of a meter that can be set and told to act, as server objects: clock, relay, limiter, images, payment.

What they do stands in state machines over plain values (a relay, an account); `StoredObject` shows them as COSEM
objects. Time comes in with each request: `advance(now)` lets a part do everything that was due until then.
"""
