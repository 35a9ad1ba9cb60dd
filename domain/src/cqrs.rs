//! The shim through which the cqrs-es framework drives our pure aggregates.

use cqrs_es::event_sink::EventSink;

use crate::{
    AccessAttempts, AccessControl, Aggregate, Inspection, ModelRoute, Part, PictureRetention,
    ProjectionRepair,
};

macro_rules! cqrs_aggregate {
    ($aggregate:ty) => {
        impl cqrs_es::Aggregate for $aggregate {
            const TYPE: &'static str = <Self as Aggregate>::TYPE;
            type Command = <Self as Aggregate>::Command;
            type Event = <Self as Aggregate>::Event;
            type Error = <Self as Aggregate>::Rejection;
            type Services = ();

            async fn handle(
                &mut self,
                command: Self::Command,
                (): &Self::Services,
                sink: &EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in self.decide(command)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.evolve(&event);
            }
        }
    };
}

cqrs_aggregate!(Inspection);
cqrs_aggregate!(Part);
cqrs_aggregate!(ModelRoute);
cqrs_aggregate!(ProjectionRepair);
cqrs_aggregate!(PictureRetention);
cqrs_aggregate!(AccessControl);
cqrs_aggregate!(AccessAttempts);
