# Messages for all who have subscribed.

@0xf53b9d02a7c6e148;

interface Publisher {
    subscribe @0 (subscriber :Subscriber) -> (subscription :Subscription);
}

interface Subscription {}
# Lasts until it is dropped.

interface Subscriber {
    push @0 (message :Text) -> ();
}
